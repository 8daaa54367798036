"""Programs that speak MCP over their standard input and output: one JSON message per line, many requests at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog

from gateway_service.declaration import ProgramDeclaration, UpstreamDeclaration
from gateway_service.program_supervisor.sandbox import is_sandbox_available, sandbox_command
from gateway_service.upstreams.errors import (
    UpstreamFailure,
    UpstreamProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway_service.upstreams.program_process import MaskText, ProgramProcess
from gateway_service.upstreams.received_messages import (
    NotificationRate,
    is_list_change,
    is_response,
    notification_of,
    parse_message,
)
from gateway_service.upstreams.restart_pauses import RestartPauses
from gateway_service.upstreams.transport import ListChangeHandler, Notification, OutgoingRequest
from gateway_service.wire.json_rpc import METHOD_NOT_FOUND, encode
from security_common.task_cancellation import cancel_tasks

__all__ = ["StdioConnection", "StdioTransport"]

PROBE_SECONDS = 5.0
READ_BYTES = 256 * 1024
MAX_WAITING_NOTIFICATIONS = 256
MAX_ABANDONED = 1000

log = structlog.get_logger("gateway_service")


class _PendingRequest:
    """A request without its response yet. `received` has what came for it, in order; a response or failure is last."""

    def __init__(self, *, has_handler: bool) -> None:
        self.has_handler = has_handler
        self.received: asyncio.Queue[Notification | dict[str, Any] | UpstreamFailure] = asyncio.Queue()
        self.size_bytes = 0


class StdioConnection:
    """The conversation with one program. The program is ended with it."""

    is_stateful = True

    def __init__(
        self,
        declaration: UpstreamDeclaration,
        program: ProgramProcess,
        *,
        is_shared: bool,
        on_list_change: ListChangeHandler,
        on_end: Callable[[], None],
    ) -> None:
        """`on_end` is called when the program ends although it was not asked to."""
        self.is_shared = is_shared
        self._declaration = declaration
        self._name = declaration.name
        self._program = program
        self._on_list_change = on_list_change
        self._on_end = on_end
        self._pending: dict[int, _PendingRequest] = {}
        self._abandoned: OrderedDict[int, None] = OrderedDict()
        self._rate = NotificationRate(self._name)
        self._failure: UpstreamFailure | None = None
        self._ending: asyncio.Task[None] | None = None
        self._reading = asyncio.create_task(self._read(), name=f"stdout-{self._name}")

    @property
    def is_closed(self) -> bool:
        """Whether the program has ended, or is being ended."""
        return self._failure is not None

    def agree(self, version: str) -> None:
        """Does nothing: messages of a program do not repeat the version."""

    async def request(self, request: OutgoingRequest) -> dict[str, Any]:
        """The response. Raises `UpstreamUnavailable` if the program has ended, and other `UpstreamFailure`."""
        if self._failure is not None:
            raise self._failure
        pending = _PendingRequest(has_handler=request.on_notification is not None)
        self._pending[request.id] = pending
        try:
            async with asyncio.timeout(self._declaration.longest_seconds):
                await self._send({"id": request.id, "method": request.method, "params": request.params})
                return await self._receive(request, pending)
        except TimeoutError as failure:
            raise UpstreamTimeout.named(self._name) from failure
        finally:
            if self._pending.pop(request.id, None) is not None:
                self._abandon(request)

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Sends a notification. Raises `UpstreamUnavailable` if the program has ended."""
        message: dict[str, Any] = {"method": method}
        if params:
            message["params"] = dict(params)
        await self._send(message)

    async def close(self) -> None:
        """Ends the program with all its processes."""
        if self._failure is None:
            self._fail(UpstreamUnavailable.named(self._name))
        if self._ending is not None:
            await self._ending

    async def _receive(self, request: OutgoingRequest, pending: _PendingRequest) -> dict[str, Any]:
        """The response, after the notifications before it. Each of them restarts the time without a message."""
        while True:
            async with asyncio.timeout(self._declaration.silent_seconds):
                item = await pending.received.get()
            if isinstance(item, UpstreamFailure):
                raise item
            if not isinstance(item, Notification):
                return item
            if request.on_notification is not None:
                await request.on_notification(item)

    async def _send(self, message: Mapping[str, Any]) -> None:
        self._write(message)
        try:
            await self._program.stdin.drain()
        except OSError as failure:
            raise UpstreamUnavailable.named(self._name) from failure

    def _write(self, message: Mapping[str, Any]) -> None:
        """Writes one line, without waiting until the program reads it."""
        if not self._program.stdin.is_closing():
            self._program.stdin.write(encode({"jsonrpc": "2.0", **message}) + b"\n")

    def _abandon(self, request: OutgoingRequest) -> None:
        """Reports that nobody waits for the response any more. A program may have sent it already."""
        if self._failure is not None:
            return
        self._abandoned[request.id] = None
        if len(self._abandoned) > MAX_ABANDONED:
            self._abandoned.popitem(last=False)
        if request.method != "initialize":  # which must not be cancelled (MCP 2025-11-25, cancellation)
            params = {"requestId": request.id, "reason": "the caller is gone or the time is over"}
            self._write({"method": "notifications/cancelled", "params": params})

    async def _read(self) -> None:
        """Reads lines until the program ends or breaks the protocol."""
        try:
            await self._read_lines()
            failure: UpstreamFailure = UpstreamUnavailable.named(self._name)
        except UpstreamProtocolViolation as violation:
            failure = violation
        except Exception as defect:  # a defect must not leave callers without an answer
            log.exception("program_output_failed", upstream=self._name, cause=type(defect).__name__)
            failure = UpstreamUnavailable.named(self._name)
        if self._failure is None:
            self._on_end()
            self._fail(failure)

    async def _read_lines(self) -> None:
        unfinished = bytearray()
        while True:
            chunk = await self._program.stdout.read(READ_BYTES)
            if not chunk:
                return
            unfinished += chunk
            if b"\n" in chunk:
                *lines, rest = bytes(unfinished).split(b"\n")
                unfinished = bytearray(rest)
                for line in lines:
                    self._require_size(len(line))
                    if line.strip():
                        await self._take(line)
            self._require_size(len(unfinished))

    async def _take(self, line: bytes) -> None:
        """Hands one message on. Raises `UpstreamProtocolViolation`."""
        message = await parse_message(self._name, line)
        if is_response(message):
            self._take_response(message, len(line))
            return
        if not isinstance(message.get("method"), str):
            raise UpstreamProtocolViolation.by(self._name, "sent a message that is not JSON-RPC")
        self._rate.count()
        if "id" in message:
            self._answer(message)
        elif is_list_change(message):
            self._on_list_change(message["method"])
        else:
            self._take_notification(message, len(line))

    def _take_response(self, message: dict[str, Any], size_bytes: int) -> None:
        message_id: Any = message.get("id")
        pending = self._pending.pop(message_id, None) if _is_id(message_id) else None
        if pending is not None:
            self._count(pending, size_bytes)
            pending.received.put_nowait(message)
        elif _is_id(message_id) and message_id in self._abandoned:
            del self._abandoned[message_id]
        else:
            raise UpstreamProtocolViolation.by(self._name, "answered another request")

    def _take_notification(self, message: dict[str, Any], size_bytes: int) -> None:
        """Hands progress and log messages on to the request to which they belong; others are left out."""
        for message_id in self._possible_requests(message):
            pending = self._pending[message_id]
            notification = notification_of(message, message_id)
            if notification is not None:
                self._count(pending, size_bytes)
                if pending.received.qsize() < MAX_WAITING_NOTIFICATIONS:
                    pending.received.put_nowait(notification)

    def _possible_requests(self, message: Mapping[str, Any]) -> list[int]:
        """The requests with a handler to which a notification may belong.

        A log message does not say to which. With several requests at a time it could be that of another caller.
        """
        if message["method"] == "notifications/message":
            waiting = list(self._pending)
            return waiting if len(waiting) == 1 and self._pending[waiting[0]].has_handler else []
        params: Any = message.get("params")
        token: Any = cast("dict[str, Any]", params).get("progressToken") if isinstance(params, dict) else None
        return [token] if _is_id(token) and token in self._pending and self._pending[token].has_handler else []

    def _count(self, pending: _PendingRequest, size_bytes: int) -> None:
        pending.size_bytes += size_bytes
        self._require_size(pending.size_bytes)

    def _answer(self, message: Mapping[str, Any]) -> None:
        """Answers a request of the program: nothing was declared that would allow one, except for `ping`."""
        if message["method"] == "ping":
            self._write({"id": message["id"], "result": {}})
        else:
            error = {"code": METHOD_NOT_FOUND, "message": "the client does not offer this"}
            self._write({"id": message["id"], "error": error})

    def _require_size(self, size_bytes: int) -> None:
        limit = self._declaration.max_result_bytes
        if size_bytes > limit:
            raise UpstreamProtocolViolation.by(self._name, f"sent more than {limit} bytes")

    def _fail(self, failure: UpstreamFailure) -> None:
        """Ends the conversation: all requests fail, and the program is ended in the background."""
        self._failure = failure
        for pending in self._pending.values():
            pending.received.put_nowait(failure)
        self._ending = asyncio.create_task(self._end(), name=f"end-program-{self._name}")

    async def _end(self) -> None:
        await self._program.end()
        await cancel_tasks(self._reading)


class StdioTransport:
    """Starts instances of one program: one for each caller, or one for all."""

    probe_seconds = PROBE_SECONDS

    def __init__(self, declaration: UpstreamDeclaration, program: ProgramDeclaration, mask: MaskText) -> None:
        self._declaration = declaration
        self._program = program
        self._mask = mask
        self._restarts = RestartPauses(declaration.name)

    @property
    def max_connections(self) -> int:
        """How many instances run at the same time."""
        return self._program.max_instances

    @property
    def idle_seconds(self) -> float:
        """After which time without a request an instance is ended."""
        return self._program.idle_seconds

    async def connect(self, owner: str, on_list_change: ListChangeHandler) -> StdioConnection:
        """A new instance. Raises `UpstreamUnavailable`, and `SecretMissing` for a file with a variable."""
        self._restarts.require_allowed(owner)
        sandbox = await self._sandbox()
        try:
            process = await ProgramProcess.start(
                self._declaration.name, self._program, sandbox=sandbox, mask=self._mask
            )
        except UpstreamUnavailable:
            self._restarts.count(owner)
            raise
        return StdioConnection(
            self._declaration,
            process,
            is_shared=self._program.is_shared,
            on_list_change=on_list_change,
            on_end=lambda: self._restarts.count(owner),
        )

    async def _sandbox(self) -> list[str]:
        """The command of the sandbox; empty where none is available. Raises `UpstreamUnavailable` if one is needed."""
        program = self._program
        if await asyncio.to_thread(is_sandbox_available):
            return sandbox_command(
                has_network=program.has_network,
                readable=[str(path) for path in program.readable],
                writable=[str(path) for path in program.writable],
                folder=str(program.folder),
            )
        if program.needs_sandbox:
            log.warning("program_not_started", upstream=self._declaration.name, cause="bubblewrap does not work here")
            raise UpstreamUnavailable.named(self._declaration.name)
        return []


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
