"""A real service in a thread, on an ephemeral port."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from auth_service.app import create_app
from auth_service.settings import AuthSettings
from local_stack.ports import free_ports
from security_common.service.server import KEEP_ALIVE_SECONDS


@dataclass(frozen=True)
class Service:
    """A running auth-service. `http` sends requests to it."""

    settings: AuthSettings
    http: httpx2.Client
    app: FastAPI

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    @property
    def paths(self) -> set[str]:
        """Every path that the application serves, except the pages of the API documentation."""
        paths = {context.path for context in iter_route_contexts(self.app.routes) if context.path}
        return {"/oauth2/token", *(path for path in paths if not path.startswith("/docs"))}


StartService = Callable[..., Service]


class ServiceThread:
    """The application, running in a thread with an event loop of its own, as a process would run it."""

    def __init__(self, settings: AuthSettings, **parts: Any) -> None:
        self.app = create_app(settings, **parts)
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=settings.port,
            log_config=None,
            lifespan="on",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), name="auth-service")
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the service did not start"
            time.sleep(0.01)

    def request_stop(self) -> None:
        self._server.should_exit = True

    def wait_until_stopped(self) -> None:
        self._thread.join()


@contextmanager
def serving(settings: AuthSettings, **parts: Any) -> Generator[FastAPI]:
    running = ServiceThread(settings, **parts)
    yield running.app
    running.request_stop()
    running.wait_until_stopped()


def free_port() -> int:
    return free_ports(1)[0]
