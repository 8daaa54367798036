"""Requests that wait for a person: `auth:interaction:{<id>}`, for a quarter of an hour, each for one browser."""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.authorize.request import AuthorizationRequest
from auth_service.protocol import Clock, RandomBytes

__all__ = ["LIFETIME_SECONDS", "Interaction", "Interactions"]

LIFETIME_SECONDS = 900

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """`binding` is the hash of the cookie of the browser that began it, `query` the request as that browser sent it.

    `started_at_seconds` is since the epoch. `finished` once it was answered; it then stays for the rest of its time, so
    that a page that is opened again can say so.
    """

    request: AuthorizationRequest
    binding: str
    query: str
    started_at_seconds: float
    finished: bool = False


_DOCUMENT = TypeAdapter(Interaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Raises `redis.exceptions.RedisError` when Redis is away."""

    redis: Redis
    clock: Clock
    random_bytes: RandomBytes

    async def start(self, request: AuthorizationRequest, *, binding: str, query: str) -> tuple[str, Interaction]:
        """Keeps the request; returns its id and what is kept."""
        interaction_id = urlsafe_b64encode(self.random_bytes(16)).rstrip(b"=").decode("ascii")
        interaction = Interaction(request=request, binding=binding, query=query, started_at_seconds=self.clock())
        await self.redis.set(_key(interaction_id), _DOCUMENT.dump_json(interaction), ex=LIFETIME_SECONDS)
        return interaction_id, interaction

    async def find(self, interaction_id: str) -> Interaction | None:
        document = await self.redis.get(_key(interaction_id)) if _ID.fullmatch(interaction_id) else None
        return _DOCUMENT.validate_json(document) if document else None

    async def finish(self, interaction_id: str, interaction: Interaction) -> None:
        """Marks it as answered. Nothing happens when its time is over."""
        document = _DOCUMENT.dump_json(replace(interaction, finished=True))
        await self.redis.set(_key(interaction_id), document, xx=True, keepttl=True)


def _key(interaction_id: str) -> str:
    return f"auth:interaction:{{{interaction_id}}}"
