"""Sessions stored by the server: the browser has a random value, Redis has its hash and the account."""

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from pydantic import TypeAdapter
from redis.asyncio import Redis
from starlette.requests import Request

from auth_service.http.responses import Header
from auth_service.protocol import Clock, RandomBytes
from auth_service.web.cookies import Cookies

__all__ = ["Browser", "Session", "Sessions"]

_PREFIX = "auth:session:"
_COOKIE = "session"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in, when (seconds since the epoch) and how (`amr` values, RFC 8176)."""

    subject: str
    signed_in_at_seconds: float
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A browser and its sign-in. `secret` is its session cookie; both are empty before the first sign-in."""

    secret: str = field(default="", repr=False)
    session: Session | None = None


_DOCUMENT = TypeAdapter(Session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Reads, begins and ends sessions. Raises `redis.exceptions.RedisError` if Redis is not available."""

    redis: Redis
    cookies: Cookies
    lifetime_seconds: int
    clock: Clock
    random_bytes: RandomBytes

    async def read(self, request: Request) -> Browser:
        """The browser that sent the request, with its session if it has one."""
        secret = self.cookies.read(request, _COOKIE) or ""
        if not _SECRET.fullmatch(secret):
            return Browser()
        document = await self.redis.get(_PREFIX + _hash(secret))
        return Browser(secret=secret, session=_DOCUMENT.validate_json(document) if document else None)

    async def sign_in(self, browser: Browser, subject: str, methods: tuple[str, ...]) -> Browser:
        """A new session under a new id, so that an id planted in the browser before is useless (session fixation)."""
        await self.sign_out(browser)
        secret = urlsafe_b64encode(self.random_bytes(32)).rstrip(b"=").decode("ascii")
        session = Session(subject=subject, signed_in_at_seconds=self.clock(), methods=methods)
        await self.redis.set(_PREFIX + _hash(secret), _DOCUMENT.dump_json(session), ex=self.lifetime_seconds)
        return Browser(secret=secret, session=session)

    async def sign_out(self, browser: Browser) -> None:
        if browser.secret:
            await self.redis.delete(_PREFIX + _hash(browser.secret))

    def cookie(self, browser: Browser) -> Header:
        """The header that sets the session cookie. It ends with the browser; the session itself after its lifetime."""
        return self.cookies.set(_COOKIE, browser.secret)

    def expired_cookie(self) -> Header:
        return self.cookies.remove(_COOKIE)


def _hash(secret: str) -> str:
    """The value has 256 random bits, so a hash without salt protects it."""
    return hashlib.sha256(secret.encode()).hexdigest()
