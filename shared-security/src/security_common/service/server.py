"""Running a service: socket, loop, garbage collector, signals."""

import asyncio
import gc
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar

import uvicorn

from security_common.errors import SecurityError
from security_common.service.settings import ServiceSettings

__all__ = ["PortTaken", "serve"]

_GRACEFUL_STOP_SECONDS = 10


class PortTaken(SecurityError):
    """The address cannot be bound."""

    error: ClassVar[str] = "port_taken"


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
        gc.set_threshold(50_000, 50, 1_000)
        gc.enable()  # a command may have started without it, since imports make garbage but few cycles

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        first, self._draining = not self._draining, True
        self._on_drain()
        if self._loop is None or not first or not self._drain_seconds:
            super().handle_exit(sig, frame)
            return
        stop = super().handle_exit
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, stop, sig, frame)


def serve(app: Any, settings: ServiceSettings, *, on_drain: Callable[[], None] = lambda: None) -> None:
    """Serves an ASGI application until SIGTERM or SIGINT; requests under way get ten seconds to end.

    `on_drain` is called when the first signal arrives, `drain_seconds` before the listener closes: the moment to
    answer 503 at /readyz. Raises `PortTaken`; exits with status 3 when the application does not start.
    """
    listener = _listen(settings)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACEFUL_STOP_SECONDS,
    )
    server = _Server(config, drain_seconds=settings.drain_seconds, on_drain=on_drain)
    server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(3)


def _listen(settings: ServiceSettings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as failure:
        listener.close()
        variable = f"{settings.model_config.get('env_prefix', '')}PORT"
        raise PortTaken(
            f"cannot listen on {settings.host}:{settings.port}", hint=f"stop what listens there, or set {variable}"
        ) from failure
    return listener
