"""Requests that wait for a person: `auth:interaction:<id>`, for a quarter of an hour, each for one browser."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.authorize.request import AuthorizationRequest
from auth_service.vocabulary import Clock, RandomBytes

__all__ = ["Interaction", "Interactions"]

_PREFIX = "auth:interaction:"
_LIFETIME_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """`browser_id` is the browser that began it; `started_at_seconds` is since the epoch."""

    request: AuthorizationRequest
    browser_id: str
    started_at_seconds: float


_DOCUMENT = TypeAdapter(Interaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Raises `redis.exceptions.RedisError` when Redis is away."""

    redis: Redis
    clock: Clock
    random_bytes: RandomBytes

    async def start(self, request: AuthorizationRequest, browser_id: str) -> str:
        """Keeps the request and returns its id."""
        interaction_id = urlsafe_b64encode(self.random_bytes(16)).rstrip(b"=").decode("ascii")
        interaction = Interaction(request=request, browser_id=browser_id, started_at_seconds=self.clock())
        await self.redis.set(_PREFIX + interaction_id, _DOCUMENT.dump_json(interaction), ex=_LIFETIME_SECONDS)
        return interaction_id

    async def find(self, interaction_id: str) -> Interaction | None:
        document = await self.redis.get(_PREFIX + interaction_id)
        return _DOCUMENT.validate_json(document) if document else None

    async def finish(self, interaction_id: str) -> bool:
        """True for the one caller that ends it: the back button and a second tab answer nothing twice."""
        return bool(await self.redis.delete(_PREFIX + interaction_id))
