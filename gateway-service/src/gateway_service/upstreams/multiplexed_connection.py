"""Conversations in which the answers to many requests come on one stream: programs, and HTTP+SSE."""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

import structlog

from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.errors import (
    UpstreamFailure,
    UpstreamProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway_service.upstreams.received_messages import (
    NotificationRate,
    is_list_change,
    is_response,
    notification_of,
    parse_message,
)
from gateway_service.upstreams.transport import ListChangeHandler, Notification, OutgoingRequest
from gateway_service.wire.json_rpc import METHOD_NOT_FOUND, encode, encode_message
from security_common.task_cancellation import cancel_tasks

__all__ = ["MultiplexedConnection"]

MAX_WAITING_NOTIFICATIONS = 256
MAX_ABANDONED = 1000
MAX_ID_BYTES = 256

log = structlog.get_logger("gateway_service")


class _PendingRequest:
    """A request without its response yet. `received` has what came for it, in order; a response or failure is last."""

    def __init__(self, *, has_handler: bool) -> None:
        self.has_handler = has_handler
        self.received: asyncio.Queue[Notification | dict[str, Any] | UpstreamFailure] = asyncio.Queue()
        self.size_bytes = 0


class MultiplexedConnection(ABC):
    """The conversation with one server over one stream. A message that breaks the protocol ends it."""

    is_stateful = True

    def __init__(self, declaration: UpstreamDeclaration, *, is_shared: bool, on_list_change: ListChangeHandler) -> None:
        self.is_shared = is_shared
        self._declaration = declaration
        self._name = declaration.name
        self._on_list_change = on_list_change
        self._pending: dict[int, _PendingRequest] = {}
        self._abandoned: OrderedDict[int, None] = OrderedDict()
        self._last_forgotten_id = 0
        """An answer with an id up to this one may be a late answer to a request that was abandoned."""
        self._rate = NotificationRate(self._name)
        self._failure: UpstreamFailure | None = None
        self._ending: asyncio.Task[None] | None = None
        self._reading = asyncio.create_task(self._read(), name=f"read-{self._name}")

    @property
    def is_closed(self) -> bool:
        """Whether the conversation has ended, or is being ended."""
        return self._failure is not None

    @abstractmethod
    def agree(self, version: str) -> None:
        """Sets the protocol version on which the handshake has agreed."""

    async def request(self, request: OutgoingRequest) -> dict[str, Any]:
        """The response. Raises `UpstreamUnavailable` if the conversation has ended, and other `UpstreamFailure`."""
        if self._failure is not None:
            raise self._failure
        pending = _PendingRequest(has_handler=request.on_notification is not None)
        self._pending[request.id] = pending
        try:
            async with asyncio.timeout(self._declaration.longest_seconds):
                await self._send_message({"id": request.id, "method": request.method, "params": request.params})
                return await self._receive(request, pending)
        except TimeoutError as failure:
            raise UpstreamTimeout.named(self._name) from failure
        finally:
            if self._pending.pop(request.id, None) is not None:
                self._abandon(request)

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Sends a notification. Raises `UpstreamFailure`."""
        message: dict[str, Any] = {"method": method}
        if params:
            message["params"] = dict(params)
        await self._send_message(message)

    async def close(self) -> None:
        """Ends the conversation. Raises nothing."""
        if self._failure is None:
            self._fail(UpstreamUnavailable.named(self._name))
        if self._ending is not None:
            await self._ending

    @abstractmethod
    async def _send(self, message: bytes) -> None:
        """Sends a message. Raises `UpstreamFailure`."""

    @abstractmethod
    def _send_soon(self, message: bytes) -> None:
        """Sends a message without waiting. It is left out if too much is waiting to be sent."""

    @abstractmethod
    async def _read_messages(self) -> None:
        """Hands every message that is received on to `_take`, until the stream ends. Raises `UpstreamFailure`."""

    @abstractmethod
    async def _end(self) -> None:
        """Ends what carries the conversation. Raises nothing."""

    @abstractmethod
    def _note_loss(self) -> None:
        """Called when the conversation ends although it was not closed."""

    async def _send_message(self, message: Mapping[str, Any]) -> None:
        await self._send(await encode_message({"jsonrpc": "2.0", **message}))

    def _send_message_soon(self, message: Mapping[str, Any]) -> None:
        self._send_soon(encode({"jsonrpc": "2.0", **message}))

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

    def _abandon(self, request: OutgoingRequest) -> None:
        """Reports that nobody waits for the response any more. The server may have sent it already."""
        if self._failure is not None:
            return
        self._abandoned[request.id] = None
        if len(self._abandoned) > MAX_ABANDONED:
            forgotten_id, _ = self._abandoned.popitem(last=False)
            self._last_forgotten_id = max(self._last_forgotten_id, forgotten_id)
        if request.method != "initialize":  # which must not be cancelled (MCP 2025-11-25, cancellation)
            params = {"requestId": request.id, "reason": "the caller is gone or the time is over"}
            self._send_message_soon({"method": "notifications/cancelled", "params": params})

    async def _read(self) -> None:
        """Reads messages until the stream ends or a message breaks the protocol."""
        try:
            await self._read_messages()
            failure: UpstreamFailure = UpstreamUnavailable.named(self._name)
        except UpstreamFailure as reason:
            failure = reason
        except Exception as defect:  # a defect must not leave callers without an answer
            log.exception("messages_not_read", upstream=self._name, cause=type(defect).__name__)
            failure = UpstreamUnavailable.named(self._name)
        if self._failure is None:
            self._note_loss()
            self._fail(failure)

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
        elif not _is_id(message_id) or message_id > self._last_forgotten_id:
            raise UpstreamProtocolViolation.by(self._name, "answered another request")

    def _take_notification(self, message: dict[str, Any], size_bytes: int) -> None:
        """Hands progress and log messages on to the request to which they belong; others are left out."""
        message_id = self._request_of(message)
        if message_id is None:
            return
        pending = self._pending[message_id]
        notification = notification_of(message, message_id)
        if notification is None or not pending.has_handler:
            return
        self._count(pending, size_bytes)
        if pending.received.qsize() < MAX_WAITING_NOTIFICATIONS:
            pending.received.put_nowait(notification)

    def _request_of(self, message: Mapping[str, Any]) -> int | None:
        """The id of the request to which a notification belongs; None if it belongs to none that is in progress.

        A log message does not say to which. With several requests at a time it could be that of another caller.
        """
        if message["method"] == "notifications/message":
            return next(iter(self._pending)) if len(self._pending) == 1 else None
        params: Any = message.get("params")
        token: Any = cast("dict[str, Any]", params).get("progressToken") if isinstance(params, dict) else None
        return token if _is_id(token) and token in self._pending else None

    def _count(self, pending: _PendingRequest, size_bytes: int) -> None:
        pending.size_bytes += size_bytes
        self._require_size(pending.size_bytes)

    def _answer(self, message: Mapping[str, Any]) -> None:
        """Answers a request of the server: nothing was declared that would allow one, except for `ping`.

        Raises `UpstreamProtocolViolation` for an id that is too long to be repeated.
        """
        if len(encode({"id": message["id"]})) > MAX_ID_BYTES:
            raise UpstreamProtocolViolation.by(self._name, f"sent an id of more than {MAX_ID_BYTES} bytes")
        if message["method"] == "ping":
            self._send_message_soon({"id": message["id"], "result": {}})
        else:
            error = {"code": METHOD_NOT_FOUND, "message": "the client does not offer this"}
            self._send_message_soon({"id": message["id"], "error": error})

    def _require_size(self, size_bytes: int) -> None:
        limit = self._declaration.max_result_bytes
        if size_bytes > limit:
            raise UpstreamProtocolViolation.by(self._name, f"sent more than {limit} bytes")

    def _fail(self, failure: UpstreamFailure) -> None:
        """Ends the conversation: all requests fail, and what carries it is ended in the background."""
        self._failure = failure
        for pending in self._pending.values():
            pending.received.put_nowait(failure)
        self._ending = asyncio.create_task(self._end_completely(), name=f"end-{self._name}")

    async def _end_completely(self) -> None:
        await self._end()
        await cancel_tasks(self._reading)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
