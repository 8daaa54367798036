"""Running the service: socket, loop, garbage collector, signals, metrics."""

import asyncio
import gc
import socket
from types import FrameType
from typing import ClassVar

import uvicorn

from mcp_resource_service.app import create_app
from mcp_resource_service.logs import configure_logging
from mcp_resource_service.rest import Health
from mcp_resource_service.settings import ResourceSettings
from security_common.errors import SecurityError

__all__ = ["PortTaken", "serve_forever"]

GRACEFUL_STOP_SECONDS = 10


class PortTaken(SecurityError):
    """The address cannot be bound."""

    error: ClassVar[str] = "port_taken"


class _Server(uvicorn.Server):
    """uvicorn, with the collector quieted once the heap is built, and a drain before the listener closes."""

    def __init__(self, config: uvicorn.Config, health: Health, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._health = health
        self._drain_seconds = drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # What lives now lives until the end: frozen, it is never walked again, which takes the peaks off the latency.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1_000)
        gc.enable()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._health.draining or not self._drain_seconds:
            super().handle_exit(sig, frame)
            return
        self._health.draining = True
        stop = super().handle_exit
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, stop, sig, frame)


def serve_forever(settings: ResourceSettings) -> None:
    """Serves until a signal; returns after a graceful stop of at most 10 seconds.

    Raises:
        PortTaken: MCP_PORT is in use.

    """
    configure_logging(form=settings.log_format, level=settings.log_level)
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS,
    )
    server = _Server(config, app.state.health, drain_seconds=settings.drain_seconds)
    server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(1)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise PortTaken(f"cannot listen on {host}:{port}", hint="stop what listens there, or set MCP_PORT") from failure
    listener.set_inheritable(True)
    return listener
