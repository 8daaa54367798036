"""Clients that became known at run time, one JSON document each in Redis: `auth:client:<client_id>`."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any, cast

from redis.asyncio import Redis

from auth_service.clients.model import Client, ClientOrigin, StoredSecret
from auth_service.vocabulary import AuthMethod, GrantType

__all__ = ["ClientStore"]

_PREFIX = "auth:client:"


class ClientStore:
    """Reads and writes stored clients. Raises `redis.exceptions.RedisError` when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, client_id: str) -> Client | None:
        document = await self._redis.get(_PREFIX + client_id)
        return _load(json.loads(document)) if document else None

    async def save(self, client: Client, *, lifetime_seconds: int | None = None) -> None:
        """Keeps the client, for good or for this long."""
        await self._redis.set(_PREFIX + client.client_id, _dump(client), ex=lifetime_seconds)

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
                yield _load(json.loads(document))


def _dump(client: Client) -> str:
    members = {name: value for name, value in asdict(client).items() if value}
    return json.dumps(members, default=sorted, ensure_ascii=False, separators=(",", ":"))


def _load(members: Mapping[str, Any]) -> Client:
    known = dict(members)
    secret = known.pop("secret", None)
    known["origin"] = ClientOrigin(known["origin"])
    known["auth_methods"] = frozenset(map(AuthMethod, known.get("auth_methods", ())))
    known["grant_types"] = frozenset(map(GrantType, known.get("grant_types", ())))
    known["scopes"] = frozenset(known.get("scopes", ()))
    for name in ("default_scopes", "redirect_uris", "post_logout_redirect_uris", "resources", "extra_audiences"):
        known[name] = tuple(known.get(name, ()))
    return Client(secret=StoredSecret(**secret) if secret else None, **known)
