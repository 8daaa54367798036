"""Which ports the stack listens on, and whether they are free."""

import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Self

from local_stack.errors import StackError

__all__ = ["StackPorts", "free_ports"]

LOOPBACK = "127.0.0.1"
LISTENING = range(20_000, 32_000)
"""Below the range from which systems choose the ports of outgoing connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPorts:
    """One port for each server. Not 6379 for Redis: another Redis of this machine is likely to have it."""

    auth: int = 8081
    mcp: int = 8082
    redis: int = 6390

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """AUTH_PORT, MCP_PORT and REDIS_PORT, where they are set. Raises `StackError` for what is no port."""
        defaults = cls()
        return cls(
            auth=_port("AUTH_PORT", environment, defaults.auth),
            mcp=_port("MCP_PORT", environment, defaults.mcp),
            redis=_port("REDIS_PORT", environment, defaults.redis),
        )

    @classmethod
    def ephemeral(cls) -> Self:
        """Three ports that are free now."""
        auth, mcp, redis = free_ports(3)
        return cls(auth=auth, mcp=mcp, redis=redis)

    def check(self) -> None:
        """Raises `StackError` naming the variable when a port is taken or named twice."""
        named = {"AUTH_PORT": self.auth, "MCP_PORT": self.mcp, "REDIS_PORT": self.redis}
        if len(set(named.values())) != len(named):
            raise StackError("two servers have the same port", hint=f"give each its own: {', '.join(named)}")
        for variable, port in named.items():
            if not _is_free(port):
                raise StackError(
                    f"port {port} is taken",
                    hint=f"stop what listens there, or choose another: {variable}={port + 1000} make run",
                )


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different. Never one that an outgoing connection may be given meanwhile."""
    candidates = iter(random.SystemRandom().sample(LISTENING, len(LISTENING)))
    return list(islice((port for port in candidates if _is_free(port)), count))


def _port(variable: str, environment: Mapping[str, str], default: int) -> int:
    text = environment.get(variable) or str(default)
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise StackError(f"{variable} is no port: {text}", hint=f"for example {variable}={default}")


def _is_free(port: int) -> bool:
    """Nothing accepts connections there and it can be bound, also right after an earlier stack has let it go."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
