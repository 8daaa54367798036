"""The ports that the stack listens on, and the check that they are free."""

import errno
import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

from local_stack.addresses import LOOPBACK
from local_stack.errors import StackError

__all__ = ["StackPorts", "free_ports"]

LISTENING = range(20_000, 32_000)
"""Below the range from which operating systems choose the ports of outgoing connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPorts:
    """One port for each server. Not 6379 for Redis, because another Redis on this machine probably uses it.

    That of the gateway is used only if the stack has one.
    """

    auth: int = 8081
    mcp: int = 8082
    redis: int = 6390
    gateway: int = 8083

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """AUTH_PORT, MCP_PORT, REDIS_PORT and GATEWAY_PORT, where they are set.

        Raises `StackError` for what is not a port.
        """
        return cls().changed_by(environment)

    def changed_by(self, environment: Mapping[str, str]) -> Self:
        """These ports, except for those that the environment sets. Raises `StackError` as `from_environment` does."""
        return replace(
            self,
            auth=_port("AUTH_PORT", environment, self.auth),
            mcp=_port("MCP_PORT", environment, self.mcp),
            redis=_port("REDIS_PORT", environment, self.redis),
            gateway=_port("GATEWAY_PORT", environment, self.gateway),
        )

    @classmethod
    def ephemeral(cls) -> Self:
        """Four ports that are free now."""
        auth, mcp, redis, gateway = free_ports(4)
        return cls(auth=auth, mcp=mcp, redis=redis, gateway=gateway)

    def check(self, auth_host: str = LOOPBACK, mcp_host: str = LOOPBACK, *, gateway_host: str | None = None) -> None:
        """Raises `StackError`, naming the variable, if a port is taken or used twice, or a host is not local.

        `gateway_host` is None if the stack has no gateway.
        """
        ports = {"AUTH_PORT": self.auth, "MCP_PORT": self.mcp, "REDIS_PORT": self.redis}
        hosts = {"AUTH_PORT": auth_host, "MCP_PORT": mcp_host, "REDIS_PORT": LOOPBACK}
        if gateway_host is not None:
            ports["GATEWAY_PORT"] = self.gateway
            hosts["GATEWAY_PORT"] = gateway_host
        used = list(ports.values())
        repeated = [port for port in used if used.count(port) > 1]
        if repeated:
            variables = ", ".join(ports)
            raise StackError(f"two servers have the same port, {repeated[0]}", hint=f"set different ports: {variables}")
        for variable, port in ports.items():
            _check_free(variable, hosts[variable], port)


def free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on, outside the range that outgoing connections use.

    Each test process of pytest-xdist has ports of its own. Otherwise another one could choose the same port before the
    server for which it was chosen listens on it.
    """
    process_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    process_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = LISTENING[process_number::process_count]
    candidates = iter(random.SystemRandom().sample(ports, len(ports)))
    return list(islice((port for port in candidates if _refusal(LOOPBACK, port) is None), count))


def _port(variable: str, environment: Mapping[str, str], default: int) -> int:
    text = environment.get(variable) or str(default)
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise StackError(f"{variable} is not a port: {text}", hint=f"for example {variable}={default}")


def _check_free(variable: str, host: str, port: int) -> None:
    refusal = _refusal(host, port)
    if refusal is None:
        return
    if refusal.errno == errno.EADDRINUSE:
        raise StackError(
            f"port {port} is taken",
            hint=f"stop the program that listens there, or choose another port: {variable}={port + 1000} make run",
        )
    host_variable = variable.replace("_PORT", "_HOST")
    raise StackError(
        f"cannot listen on {host}, port {port}: {refusal.strerror}",
        hint=f"{host_variable} has to be an address of this machine, for example {LOOPBACK} or 0.0.0.0",
    )


def _refusal(host: str, port: int) -> OSError | None:
    """The error when binding the address; None if it can be bound, also right after an earlier stack released it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as refusal:
            return refusal
    return None
