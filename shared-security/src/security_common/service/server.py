"""Running a service: socket, loop, garbage collector, signals."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from security_common.errors import SecurityError
from security_common.secret_files import find_exposed_secrets
from security_common.service.settings import ServiceSettings

__all__ = ["PortTaken", "serve"]

_GRACEFUL_STOP_SECONDS = 10
HEAD_SECONDS, HEAD_BYTES = 10.0, 64 * 1024
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


logger = logging.getLogger(__name__)


class PortTaken(SecurityError):
    """The address cannot be bound."""

    error: ClassVar[str] = "port_taken"

    @classmethod
    def at(cls, settings: ServiceSettings, host: str, port: int, name: str) -> Self:
        """The error for this address; `name` is the setting of its port, without the prefix."""
        variable = f"{settings.model_config.get('env_prefix', '')}{name}"
        return cls(f"cannot listen on {host}:{port}", hint=f"stop what listens there, or set {variable}")


class _Server(uvicorn.Server):
    """uvicorn, with the collector quieted once the heap is built, and a drain before the listener closes."""

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # What lives now lives until the end: frozen, it is never walked again, which takes the peaks off the latency.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 1_000)
        gc.enable()  # a command may have started without it, since imports make garbage but few cycles

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        first, self._draining = not self._draining, True
        self._on_drain()
        if self._loop is None or not first or not self._drain_seconds:
            super().handle_exit(sig, frame)
            return
        stop = super().handle_exit
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, stop, sig, frame)


class _BoundedHead(HttpToolsProtocol):
    """A request line with its headers has ten seconds and 64 KiB; uvicorn bounds neither, and no application sees it.

    What is larger but comes within one read is for the application to refuse.
    """

    _in_head, _head_bytes, _refused = True, 0, False
    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_the_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        was_idle, cycle = self.timeout_keep_alive_task is not None, self.cycle
        super().data_received(data)
        # Empty lines before a request begin none, but they end uvicorn's wait for one.
        self._in_head |= was_idle and self.cycle is cycle
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._refused = True  # what still comes is dropped: closing on it would take the answer away
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.write_eof()
        if self._head_deadline is None:  # nearly every head comes whole and costs no timer
            self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_the_clock()
        super().on_headers_complete()

    def _stop_the_clock(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


class _Starting:
    """The application, with the exception that its lifespan failed to start with: uvicorn would log a traceback."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Any) -> None:
            nonlocal started
            started = started or message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                message = {**message, "message": ""}  # holds a traceback
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except Exception as failure:
            if started:
                raise
            self.failure = failure


def serve(app: Any, settings: ServiceSettings, *, on_drain: Callable[[], None] = lambda: None) -> None:
    """Serves an ASGI application until SIGTERM or SIGINT; requests under way get ten seconds to end.

    `on_drain` is called when the first signal arrives, `drain_seconds` before the listener closes: the moment to
    answer 503 at /readyz. Raises `PortTaken`, and whatever keeps the application's lifespan from starting.
    """
    for exposed in find_exposed_secrets(settings):
        logger.warning("%s; hint: `chmod 600`, unless only this service's container has the file", exposed)
    listener = _listen(settings)
    starting = _Starting(app)
    config = uvicorn.Config(
        starting,
        loop="uvloop",
        http=_BoundedHead,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACEFUL_STOP_SECONDS,
    )
    server = _Server(config, drain_seconds=settings.drain_seconds, on_drain=on_drain)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        if starting.failure is not None:
            raise starting.failure from None
        raise


def _listen(settings: ServiceSettings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as failure:
        listener.close()
        raise PortTaken.at(settings, settings.host, settings.port, "PORT") from failure
    return listener
