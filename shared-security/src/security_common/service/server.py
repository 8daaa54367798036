"""Running a service: socket, loop, garbage collector, signals."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Self

import uvicorn

from security_common.edge.connection_limits import bounded_connections
from security_common.errors import SecurityError
from security_common.secret_files import find_exposed_secrets
from security_common.service.settings import ServiceSettings

__all__ = ["PortTaken", "serve"]

_GRACEFUL_STOP_SECONDS = 10

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
        http=bounded_connections(
            per_address=settings.connections_per_address, trusted_proxies=settings.trusted_proxies
        ),
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
