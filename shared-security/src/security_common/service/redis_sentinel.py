"""Connections to the primary that Redis Sentinel names: `redis+sentinel://user@sentinel-1,sentinel-2/service/db`."""

import asyncio
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

from security_common.service.redis_circuit_breaker import CircuitBreakerPool

__all__ = ["SentinelPool", "SentinelUrl", "is_sentinel_url", "parse_sentinel_url"]

SCHEMES = {"redis+sentinel": False, "rediss+sentinel": True}
DEFAULT_PORT = 26379
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")
_PATH = re.compile(r"/([^/]+)(?:/([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelUrl:
    """The Sentinels, the name that they have for the primary, and how to use it."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    username: str | None
    database: int
    uses_tls: bool


def is_sentinel_url(url: str) -> bool:
    """Whether the scheme of the URL is that of Sentinel."""
    return url.partition(":")[0] in SCHEMES


def parse_sentinel_url(url: str) -> SentinelUrl:
    """Raises ValueError if a part is missing or invalid, or the URL has a password."""
    parts = urlsplit(url)
    path = _PATH.fullmatch(parts.path)
    user, _, hosts = parts.netloc.rpartition("@")
    if path is None or parts.query or parts.fragment or ":" in user:
        raise ValueError("not redis+sentinel://user@host:26379,host:26379/service/0")
    return SentinelUrl(
        sentinels=tuple(_parse_host(host) for host in hosts.split(",")),
        service=unquote(path[1]),
        username=unquote(user) or None,
        database=int(path[2] or 0),
        uses_tls=SCHEMES[parts.scheme],
    )


class SentinelPool(CircuitBreakerPool):
    """Connections to the present primary. Each new connection gets its address from the Sentinels.

    `sentinel_arguments` are those of the connections to the Sentinels; the others are those of `CircuitBreakerPool`.
    The attributes are what `SentinelManagedConnection` reads from its pool.
    """

    is_master = True
    check_connection = False

    def __init__(self, url: SentinelUrl, *, sentinel_arguments: Mapping[str, Any], **pool_arguments: Any) -> None:
        super().__init__(
            connection_class=SentinelManagedSSLConnection if url.uses_tls else SentinelManagedConnection,
            username=url.username,
            db=url.database,
            **pool_arguments,
        )
        self.connection_kwargs["connection_pool"] = weakref.proxy(self)
        self._service = url.service
        self._sentinel = Sentinel(list(url.sentinels), sentinel_kwargs={**sentinel_arguments, "ssl": url.uses_tls})
        self._address: tuple[str, int] | None = None
        self._running_discovery: asyncio.Task[tuple[str, int]] | None = None

    async def get_master_address(self) -> tuple[str, int]:
        """The address of the primary. Raises `MasterNotFoundError`.

        Connections that are made at the same time share the answer: `Sentinel` moves the Sentinel that answered to the
        front of its list, and concurrent moves would lose one.
        """
        discovery = self._running_discovery
        if discovery is None or discovery.done():
            discovery = asyncio.create_task(self._discover(), name="redis-primary")
            self._running_discovery = discovery
        address = await asyncio.shield(discovery)
        if address != self._address:
            self._address = address
            # Idle connections lead to the previous primary.
            await self.disconnect(inuse_connections=False)
        return address

    async def _discover(self) -> tuple[str, int]:
        return cast("tuple[str, int]", await self._sentinel.discover_master(self._service))

    async def aclose(self) -> None:
        await super().aclose()
        await self._sentinel.aclose()


def _parse_host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a host with an optional port")
    port = int(match[3] or DEFAULT_PORT)
    if not 0 < port <= 65535:
        raise ValueError(f"{port} is not a port")
    return match[1] or match[2], port
