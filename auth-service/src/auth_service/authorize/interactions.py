"""Authorization requests that wait for a user, and the cookie that binds each of them to the browser that began it.

Each request has a cookie of its own, so that requests of several tabs that begin at the same moment do not replace each
other. A user who opens a link to another person's request does not have its cookie, and so cannot be signed in for it
(protection against login CSRF). Keys: `auth:interaction:{<id>}`, for a quarter of an hour.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace

from pydantic import TypeAdapter
from redis.asyncio import Redis
from starlette.requests import Request

from auth_service.authorize.authorization_request import AuthorizationRequest
from auth_service.http.responses import Header
from auth_service.protocol import Clock, RandomBytes, base64url
from auth_service.web.sessions import cookies_of
from security_common.service import ServiceCookies

__all__ = ["LIFETIME_SECONDS", "MAX_REQUESTS", "Interaction", "InteractionCookies", "Interactions"]

LIFETIME_SECONDS = 900

# How many requests of one browser can wait for their user at the same time.
MAX_REQUESTS = 8

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_COOKIE_PREFIX = "request_"
_COOKIE_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """`binding` is the hash of the cookie of the browser that began it, `query` the request as that browser sent it.

    `started_at_seconds` is since the epoch. A `finished` interaction is kept for the rest of its lifetime, so that a
    page that is opened again can say that it has been answered.
    """

    request: AuthorizationRequest
    binding: str
    query: str
    started_at_seconds: float
    finished: bool = False

    def is_bound_to(self, secret: str | None) -> bool:
        """Whether the secret is that of the cookie which the browser got at the beginning."""
        return secret is not None and hmac.compare_digest(_hash(secret), self.binding)


_INTERACTION_ADAPTER = TypeAdapter(Interaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Stores interactions. Raises `redis.exceptions.RedisError` if Redis is not available."""

    redis: Redis
    clock: Clock
    random_bytes: RandomBytes

    async def start(self, request: AuthorizationRequest, *, secret: str, query: str) -> tuple[str, Interaction]:
        """Stores the request; returns its id and the interaction. `secret` is the value of its cookie."""
        interaction_id = base64url(self.random_bytes(16))
        interaction = Interaction(request=request, binding=_hash(secret), query=query, started_at_seconds=self.clock())
        await self.redis.set(_key(interaction_id), _INTERACTION_ADAPTER.dump_json(interaction), ex=LIFETIME_SECONDS)
        return interaction_id, interaction

    async def find(self, interaction_id: str) -> Interaction | None:
        document = await self.redis.get(_key(interaction_id)) if _ID.fullmatch(interaction_id) else None
        return _INTERACTION_ADAPTER.validate_json(document) if document else None

    async def finish(self, interaction_id: str, interaction: Interaction) -> None:
        """Marks it as finished. Nothing happens if it has expired."""
        document = _INTERACTION_ADAPTER.dump_json(replace(interaction, finished=True))
        await self.redis.set(_key(interaction_id), document, xx=True, keepttl=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionCookies:
    """Sets, reads and removes the cookies. A cookie lives as long as its interaction."""

    cookies: ServiceCookies
    random_bytes: RandomBytes

    def new_secret(self) -> str:
        return base64url(self.random_bytes(32))

    def set(self, interaction_id: str, secret: str, http: Request) -> tuple[Header, ...]:
        """The headers that set the cookie of a new interaction and remove the oldest ones beyond `MAX_REQUESTS`."""
        earlier = self.cookies.names(cookies_of(http), _COOKIE_PREFIX)
        surplus = earlier[: max(0, len(earlier) - MAX_REQUESTS + 1)]
        cookie = self.cookies.set_header(_COOKIE_PREFIX + interaction_id, secret, max_age_seconds=LIFETIME_SECONDS)
        return (cookie, *(self.cookies.delete_header(name) for name in surplus))

    def read(self, interaction_id: str, http: Request) -> str | None:
        """The secret, or None if this browser has no cookie for the interaction."""
        secret = self.cookies.read(cookies_of(http), _COOKIE_PREFIX + interaction_id) or ""
        return secret if _COOKIE_SECRET.fullmatch(secret) else None

    def expire_after(self, interaction_id: str, secret: str, seconds: int) -> Header:
        """The header that shortens the life of the cookie: a second click a moment later still needs it."""
        return self.cookies.set_header(_COOKIE_PREFIX + interaction_id, secret, max_age_seconds=seconds)


def _hash(secret: str) -> str:
    """The secret has 256 random bits, so a hash without salt protects it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(interaction_id: str) -> str:
    return f"auth:interaction:{{{interaction_id}}}"
