"""Clients that became known at run time, one JSON document each in Redis: `auth:client:<client_id>`."""

from collections.abc import AsyncIterator
from typing import cast

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.clients.client import Client

__all__ = ["UNUSED_LIFETIME_SECONDS", "ClientStore"]

# A registration that nobody uses is deleted after this long. Clients keep their id for ever, so people who come back to
# a connection that they never finished find it for a month.
UNUSED_LIFETIME_SECONDS = 30 * 24 * 3600

_PREFIX = "auth:client:"
_DOCUMENT = TypeAdapter(Client)


class ClientStore:
    """Reads and writes stored clients. Raises `redis.exceptions.RedisError` when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, client_id: str) -> Client | None:
        found = await self.read(client_id)
        return found[0] if found is not None else None

    async def read(self, client_id: str) -> tuple[Client, int] | None:
        """The client and the size of its document in bytes, or None."""
        document = await self._redis.get(_PREFIX + client_id)
        return (_DOCUMENT.validate_json(document), len(document)) if document else None

    async def save(self, client: Client, *, lifetime_seconds: int | None = None) -> None:
        """Keeps the client, for good or for this long."""
        document = _DOCUMENT.dump_json(client, exclude_defaults=True)
        await self._redis.set(_PREFIX + client.client_id, document, ex=lifetime_seconds)

    async def renew(self, client: Client, *, lifetime_seconds: int) -> None:
        """Replaces the client where it is stored; one that is not is left out."""
        document = _DOCUMENT.dump_json(client, exclude_defaults=True)
        await self._redis.set(_PREFIX + client.client_id, document, ex=lifetime_seconds, xx=True)

    async def extend_unused(self, client_id: str) -> None:
        """A registration that nobody has used yet is kept for its whole lifetime again; one in use does not change."""
        await self._redis.expire(_PREFIX + client_id, UNUSED_LIFETIME_SECONDS, gt=True)

    async def keep(self, client_id: str) -> None:
        """It no longer expires."""
        await self._redis.persist(_PREFIX + client_id)

    async def delete(self, client_id: str) -> bool:
        """True when there was one."""
        return bool(await self._redis.delete(_PREFIX + client_id))

    async def all(self) -> AsyncIterator[Client]:
        """Every stored client, in no order."""
        keys = cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{_PREFIX}*", count=500))
        async for key in keys:
            document = await self._redis.get(key)
            if document:
                yield _DOCUMENT.validate_json(document)
