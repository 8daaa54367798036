"""Clients that were created at run time, one JSON document each in Redis: `auth:client:<client_id>`."""

from collections.abc import AsyncIterator
from typing import cast

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.clients.client import Client

__all__ = ["UNUSED_LIFETIME_SECONDS", "ClientStore"]

# A registration that no user has consented to is deleted after 30 days. Applications keep their client_id,
# so a user who returns to an unfinished connection can complete it for a month.
UNUSED_LIFETIME_SECONDS = 30 * 24 * 3600

_PREFIX = "auth:client:"
_CLIENT_ADAPTER = TypeAdapter(Client)


class ClientStore:
    """Reads and writes stored clients. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, client_id: str) -> Client | None:
        found = await self.find_with_size(client_id)
        return found[0] if found is not None else None

    async def find_with_size(self, client_id: str) -> tuple[Client, int] | None:
        """The client and the size of its document in bytes, or None."""
        document = await self._redis.get(_PREFIX + client_id)
        return (_CLIENT_ADAPTER.validate_json(document), len(document)) if document else None

    async def save(self, client: Client, *, lifetime_seconds: int | None = None) -> None:
        """Stores the client, for this long or without an expiry."""
        document = _CLIENT_ADAPTER.dump_json(client, exclude_defaults=True)
        await self._redis.set(_PREFIX + client.client_id, document, ex=lifetime_seconds)

    async def replace_stored(self, client: Client, *, lifetime_seconds: int) -> None:
        """Replaces the stored copy of this client; does nothing if there is none."""
        document = _CLIENT_ADAPTER.dump_json(client, exclude_defaults=True)
        await self._redis.set(_PREFIX + client.client_id, document, ex=lifetime_seconds, xx=True)

    async def restart_unused_lifetime(self, client_id: str) -> None:
        """Starts the lifetime of an unused registration again. A client without an expiry does not change."""
        await self._redis.expire(_PREFIX + client_id, UNUSED_LIFETIME_SECONDS, gt=True)

    async def remove_expiry(self, client_id: str) -> None:
        await self._redis.persist(_PREFIX + client_id)

    async def delete(self, client_id: str) -> bool:
        """True if the client existed."""
        return bool(await self._redis.delete(_PREFIX + client_id))

    async def all(self) -> AsyncIterator[Client]:
        """Every stored client, in no particular order."""
        keys = cast("AsyncIterator[str]", self._redis.scan_iter(match=f"{_PREFIX}*", count=500))
        async for key in keys:
            document = await self._redis.get(key)
            if document:
                yield _CLIENT_ADAPTER.validate_json(document)
