"""Runs a service with uvicorn: event loop, garbage collector, signals, drain."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType
from typing import Any, Literal

import uvicorn

from security_common.edge.connection_limits import BoundedConnection, bounded_connections
from security_common.service.listening_socket import ignore_new_connections
from security_common.service.settings import ServiceSettings

__all__ = ["GRACEFUL_STOP_SECONDS", "KEEP_ALIVE_SECONDS", "LONGEST_IDLE_SECONDS", "Server", "serve", "server_config"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients and proxies keep theirs (httpx 5, many proxies 60).

If the server closed it first, a request that is sent at that moment would fail with a reset connection.
"""
GRACEFUL_STOP_SECONDS = 10
"""How long requests in progress get to finish when the server stops."""
LONGEST_IDLE_SECONDS = 6.0
"""How long `Server.retire` waits for idle connections: longer than many clients keep theirs (httpx: 5 seconds)."""
_LAST_CONNECTIONS_SECONDS = 0.1


class Server(uvicorn.Server):
    """uvicorn with a frozen heap after the start, and with a drain before the listening socket closes."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        *,
        connections: type[BoundedConnection],
        drain_seconds: float,
        on_drain: Callable[[], None],
        while_serving: Callable[["Server"], AbstractAsyncContextManager[None]],
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._connections = connections
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._while_serving = while_serving
        self._is_draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_task: asyncio.Task[None] | None = None
        self._retires_until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # Objects that exist now live until the process ends. Freezing excludes them from garbage collection, so that no
        # request waits for a scan of them. The thresholds make the scans of the other objects rarer than the defaults.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 1_000)
        gc.enable()  # a command may have disabled it while it imported its modules

    async def main_loop(self) -> None:
        async with self._while_serving(self):
            await super().main_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_first_signal = not self._is_draining
        self._is_draining = True
        self._on_drain()
        if self._loop is None or not is_first_signal or not self._drain_seconds:
            super().handle_exit(sig, frame)
        else:
            # In a signal handler, which can run at any moment, only call_soon_threadsafe wakes the loop safely.
            self._loop.call_soon_threadsafe(self._start_drain, sig)

    def _start_drain(self, sig: int) -> None:
        self._drain_task = asyncio.create_task(self._drain(sig), name="drain")

    async def _drain(self, sig: int) -> None:
        """Answers requests for the configured time, then accepts the last connections and stops."""
        self._connections.closes_after_response = True
        await asyncio.sleep(self._drain_seconds)
        ignore_new_connections(self._listener)
        await asyncio.sleep(_LAST_CONNECTIONS_SECONDS)
        super().handle_exit(sig, None)

    def retire(self) -> None:
        """Stops without a failed request while other processes accept the connections of the same socket.

        Accepts no more connections, closes each one after its next response, and stops when none is left, at the
        latest after `LONGEST_IDLE_SECONDS`. Requests that are in progress then get `GRACEFUL_STOP_SECONDS`. Called in
        the event loop.
        """
        for listening in self.servers:
            listening.close()
        self._connections.closes_after_response = True
        self._retires_until = asyncio.get_running_loop().time() + LONGEST_IDLE_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Whether the server stops; called ten times a second."""
        if self._retires_until is not None:
            is_late = asyncio.get_running_loop().time() >= self._retires_until
            self.should_exit = self.should_exit or is_late or not self.server_state.connections
        return await super().on_tick(counter)

    def stop(self) -> None:
        """Stops as after SIGTERM. Called in the event loop."""
        self.handle_exit(signal.SIGTERM, None)


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


@asynccontextmanager
async def _nothing_else(_server: Server) -> AsyncGenerator[None]:
    yield


def serve(
    app: Any,
    settings: ServiceSettings,
    listener: socket.socket,
    *,
    on_drain: Callable[[], None] = lambda: None,
    while_serving: Callable[[Server], AbstractAsyncContextManager[None]] = _nothing_else,
) -> None:
    """Serves an ASGI application until SIGTERM or SIGINT. Requests in progress get ten seconds to finish.

    `on_drain` is called at the first signal, `drain_seconds` before the listening socket closes, so that /readyz can
    answer 503 from then on. `while_serving` is entered when the application has started, and left when the server
    stops. Raises the exception with which the application's start failed.
    """
    startup = _StartupFailure(app)
    connections = bounded_connections(
        per_address=settings.connections_per_address, trusted_proxies=settings.trusted_proxies
    )
    config = server_config(startup, http=connections, graceful_stop_seconds=GRACEFUL_STOP_SECONDS)
    server = Server(
        config,
        listener,
        connections=connections,
        drain_seconds=settings.drain_seconds,
        on_drain=on_drain,
        while_serving=while_serving,
    )
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
