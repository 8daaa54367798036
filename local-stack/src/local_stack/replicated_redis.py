"""A primary Redis, its replicas and three Sentinels, for tests of a failover."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from redis import Redis
from redis.exceptions import RedisError

from local_stack.addresses import LOOPBACK
from local_stack.ports import free_ports
from local_stack.processes import Child
from local_stack.redis_server import RedisServer, server_binary

__all__ = ["ReplicatedRedis"]

SERVICE = "primary"
_START_SECONDS = 60.0


class ReplicatedRedis:
    """Each server has an append-only file, and a primary without a replica refuses writes.

    `down_after_ms` is how long the Sentinels wait for a primary that does not answer before they replace it.
    """

    def __init__(self, directory: Path, *, replicas: int = 2, sentinels: int = 3, down_after_ms: int = 3000) -> None:
        ports = free_ports(1 + replicas + sentinels)
        primary_port, replica_ports, self.sentinel_ports = ports[0], ports[1 : 1 + replicas], ports[1 + replicas :]
        options = {"min-replicas-to-write": "1", "min-replicas-max-lag": "10", "repl-diskless-sync-delay": "0"}
        following = {**options, "replicaof": f"{LOOPBACK} {primary_port}"}
        self.primary = RedisServer(directory / "primary", primary_port, options=options)
        self.replicas = [RedisServer(directory / f"replica{port}", port, options=following) for port in replica_ports]
        self._directory = directory
        self._down_after_ms = down_after_ms
        self._sentinels: list[Child] = []

    @property
    def sentinel_url(self) -> str:
        """The URL for `AUTH_REDIS_URL` and `MCP_REDIS_URL`."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def start(self) -> None:
        """Returns when the replicas have the data of the primary and every Sentinel lists them and the others."""
        for server in (self.primary, *self.replicas):
            server.start()
        self._wait_until(lambda: _replicas_with_a_write(self.primary.port) == len(self.replicas))
        for port in self.sentinel_ports:
            self._sentinels.append(self._start_sentinel(port))
        for port in self.sentinel_ports:
            self._wait_until(lambda port=port: self._knows_all(port))

    def stop(self) -> None:
        for child in self._sentinels:
            child.stop(0)
        for server in (*self.replicas, self.primary):
            server.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def primary_port(self) -> int:
        """The port of the primary that the first Sentinel names at present."""
        return int(_sentinel_view(self.sentinel_ports[0])["port"])

    def _start_sentinel(self, port: int) -> Child:
        file = self._directory / f"sentinel{port}.conf"
        file.write_text(
            f"port {port}\nbind {LOOPBACK}\ndir {self._directory}\n"
            f"sentinel monitor {SERVICE} {LOOPBACK} {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {self._down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 10000\n"
        )
        command = [server_binary(), str(file), "--sentinel"]
        return Child("sentinel", command, environment=os.environ, log=self._directory / f"sentinel{port}.log")

    def _knows_all(self, port: int) -> bool:
        known = _sentinel_view(port)
        others = len(self.sentinel_ports) - 1
        return int(known["num-slaves"]) == len(self.replicas) and int(known["num-other-sentinels"]) == others

    @staticmethod
    def _wait_until(is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if is_true():
                    return
            except (RedisError, OSError, KeyError):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("the replicated Redis did not start in time")
            time.sleep(0.05)


def _replicas_with_a_write(port: int) -> int:
    """How many replicas have a new write on their disk. After its start, a replica first writes its file anew."""
    with Redis(port=port, single_connection_client=True) as primary:
        primary.set("test:replication", "started")
        return int(cast("list[int]", primary.execute_command("WAITAOF", 1, 2, 500))[1])


def _sentinel_view(port: int) -> dict[str, Any]:
    """What a Sentinel reports about the primary."""
    with Redis(port=port, decode_responses=True) as sentinel:
        return cast("dict[str, Any]", sentinel.sentinel_master(SERVICE))
