"""Runs a service with uvicorn: listening socket, event loop, garbage collector, signals."""

import asyncio
import gc
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Literal, Self

import structlog
import uvicorn

from security_common.edge.connection_limits import bounded_connections
from security_common.errors import SecurityError
from security_common.secret_files import find_exposed_secrets
from security_common.service.settings import ServiceSettings
from security_common.setting_names import variable_name

__all__ = ["KEEP_ALIVE_SECONDS", "PortTaken", "bind_socket", "serve", "server_config"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients and proxies keep theirs (httpx 5, many proxies 60).

If the server closed it first, a request that is sent at that moment would fail with a reset connection.
"""
_GRACEFUL_STOP_SECONDS = 10

log = structlog.get_logger(__name__)


class PortTaken(SecurityError):
    """The service cannot listen on its address."""

    error: ClassVar[str] = "port_taken"

    @classmethod
    def at(cls, settings: ServiceSettings, host: str, port: int, name: str) -> Self:
        """The error for this address; `name` is the field of its port in the settings."""
        variable = variable_name(settings, name)
        return cls(f"cannot listen on {host}:{port}", hint=f"stop the process that listens there, or set {variable}")


class _Server(uvicorn.Server):
    """uvicorn with a frozen heap after the start, and with a drain before the listening socket closes."""

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # Objects that exist now live until the process ends. Freezing excludes them from garbage collection, so that no
        # request waits for a scan of them. The thresholds make the scans of the other objects rarer than the defaults.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 1_000)
        gc.enable()  # a command may have disabled it while it imported its modules

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_first_signal = not self._draining
        self._draining = True
        self._on_drain()
        stop = super().handle_exit
        if self._loop is None or not is_first_signal or not self._drain_seconds:
            stop(sig, frame)
        else:
            # In a signal handler, which can run at any moment, only call_soon_threadsafe wakes the loop safely.
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_seconds, stop, sig, frame)


class _StartupFailure:
    """ASGI middleware that keeps the exception with which the application's start failed.

    Otherwise uvicorn logs it with a traceback, and the command cannot report it as an error with a hint.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.exception: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_without_traceback(message: Any) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                message = {**message, "message": ""}  # it contains a traceback
            await send(message)

        try:
            await self._app(scope, receive, send_without_traceback)
        except Exception as exception:
            if has_started:
                raise
            self.exception = exception


def serve(app: Any, settings: ServiceSettings, *, on_drain: Callable[[], None] = lambda: None) -> None:
    """Serves an ASGI application until SIGTERM or SIGINT. Requests in progress get ten seconds to finish.

    `on_drain` is called at the first signal, `drain_seconds` before the listening socket closes, so that /readyz can
    answer 503 from then on. Raises `PortTaken`, and the exception with which the application's start failed.
    """
    for exposed in find_exposed_secrets(settings):
        log.warning("secret_file_exposed", problem=exposed, hint=exposed.hint)
    try:
        listener = bind_socket(settings.host, settings.port)
    except OSError as failure:
        raise PortTaken.at(settings, settings.host, settings.port, "port") from failure
    startup = _StartupFailure(app)
    protocol = bounded_connections(
        per_address=settings.connections_per_address, trusted_proxies=settings.trusted_proxies
    )
    config = server_config(startup, http=protocol, graceful_stop_seconds=_GRACEFUL_STOP_SECONDS)
    server = _Server(config, drain_seconds=settings.drain_seconds, on_drain=on_drain)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        if startup.exception is not None:
            raise startup.exception from None
        raise


def server_config(
    app: Any, *, graceful_stop_seconds: int, http: Literal["auto"] | type[asyncio.Protocol] = "auto"
) -> uvicorn.Config:
    """How uvicorn serves every program of this project. `http` is the class of the connections."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=graceful_stop_seconds,
    )


def bind_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound to the address. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
