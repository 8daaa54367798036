"""Programs that speak MCP over their standard input and output: one JSON message per line, many requests at a time."""

import asyncio
from collections.abc import Callable

import structlog

from gateway_service.declaration import ProgramDeclaration, UpstreamDeclaration
from gateway_service.program_supervisor.sandbox import is_sandbox_available, sandbox_command
from gateway_service.upstreams.errors import UpstreamTimeout, UpstreamUnavailable
from gateway_service.upstreams.multiplexed_connection import MultiplexedConnection
from gateway_service.upstreams.program_process import MaskText, ProgramProcess
from gateway_service.upstreams.restart_pauses import RestartPauses
from gateway_service.upstreams.transport import ListChangeHandler

__all__ = ["StdioConnection", "StdioTransport"]

PROBE_SECONDS = 5.0
READ_BYTES = 256 * 1024
MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""How much a program may leave unread before further messages wait. One message may exceed it."""

log = structlog.get_logger("gateway_service")


class StdioConnection(MultiplexedConnection):
    """The conversation with one program. The program is ended with it."""

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
        self._program = program
        self._on_end = on_end
        super().__init__(declaration, is_shared=is_shared, on_list_change=on_list_change)

    def agree(self, version: str) -> None:
        """Does nothing: messages of a program do not repeat the version."""

    async def _send(self, message: bytes) -> None:
        """Writes one line once the program has read enough of the lines before. A program that never does is ended."""
        try:
            async with asyncio.timeout(self._declaration.silent_seconds):
                while self._leaves_too_much_unread():
                    await self._program.stdin.drain()
                self._send_soon(message)
                await self._program.stdin.drain()
        except TimeoutError as failure:
            if self._leaves_too_much_unread() and not self.is_closed:
                log.warning("program_does_not_read", upstream=self._name)
                self._note_loss()
                self._fail(UpstreamUnavailable.named(self._name))
            raise UpstreamTimeout.named(self._name) from failure
        except OSError as failure:
            raise UpstreamUnavailable.named(self._name) from failure

    def _send_soon(self, message: bytes) -> None:
        """Writes one line, without waiting until the program reads it. Left out if it has left too much unread."""
        if not self._program.stdin.is_closing() and not self._leaves_too_much_unread():
            self._program.stdin.write(message + b"\n")

    def _leaves_too_much_unread(self) -> bool:
        return self._program.stdin.transport.get_write_buffer_size() > MAX_UNREAD_BYTES

    async def _read_messages(self) -> None:
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
                    else:
                        self._rate.count()
            self._require_size(len(unfinished))

    async def _end(self) -> None:
        await self._program.end()

    def _note_loss(self) -> None:
        self._on_end()


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
