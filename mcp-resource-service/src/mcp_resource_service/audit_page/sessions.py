"""Server-side sessions: the cookie is only a name, so that signing out and expiry are ours to decide."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from starlette.requests import Request

from security_common.cookies import parse_cookies

__all__ = ["Session", "Sessions", "read_cookies"]

PREFIX = "mcp:audit_page:"
NAME_BYTES = 32
# Sign-ins of one browser that can be under way at the same time.
MAX_SIGN_INS = 8


@dataclass(slots=True)
class Session:
    """`data` is kept on the server; `name` is what the browser holds."""

    name: str
    data: dict[str, Any]


class Sessions:
    """Sessions in Redis, shared by replicas. Redis holds a keyed hash of the name, which opens nothing."""

    def __init__(self, redis: Redis, key: bytes, *, secure: bool) -> None:
        """`secure` on https: the cookie then has the `__Host-` prefix (RFC 6265bis section 4.1.3.2)."""
        self._redis = redis
        self._key = key
        self.secure = secure
        self.cookie_name = "__Host-mcp_audit" if secure else "mcp_audit"
        self._sign_in_prefix = f"{self.cookie_name}_sign_in_"

    def sign_in_cookie(self, state: str) -> str:
        """The name of the cookie of one sign-in: each has its own, so that those of several tabs can all go on."""
        return self._sign_in_prefix + hashlib.sha256(state.encode()).hexdigest()[:16]

    def surplus_sign_ins(self, cookies: Iterable[str]) -> list[str]:
        """Those of these cookie names that are of older sign-ins than a browser may have begun; oldest come first."""
        begun = [name for name in cookies if name.startswith(self._sign_in_prefix)]
        return begun[: max(0, len(begun) - MAX_SIGN_INS + 1)]

    async def load(self, name: str | None) -> Session | None:
        """The session a cookie names, if it is still alive."""
        if not name:
            return None
        stored = await self._redis.get(self._redis_key(name))
        return Session(name, cast("dict[str, Any]", json.loads(stored))) if stored else None

    async def begin(self, data: dict[str, Any], *, lifetime_seconds: int) -> Session:
        """A new session under a new name: signing in never goes on under a name that was known before."""
        session = Session(secrets.token_urlsafe(NAME_BYTES), data)
        await self._redis.set(self._redis_key(session.name), json.dumps(data), ex=max(1, lifetime_seconds))
        return session

    async def replace(self, name: str, data: dict[str, Any], *, lifetime_seconds: int) -> dict[str, Any] | None:
        """Puts `data` in the place of a session's own, which it returns; None, and nothing kept, when it has ended.

        Atomic: of several requests with one cookie only the first is given what the session held before.
        """
        key = self._redis_key(name)
        before = await self._redis.set(key, json.dumps(data), xx=True, get=True, ex=lifetime_seconds)
        return cast("dict[str, Any]", json.loads(str(before))) if before else None

    async def end(self, name: str) -> None:
        """Forgets a session."""
        await self._redis.delete(self._redis_key(name))

    def _redis_key(self, name: str) -> str:
        return PREFIX + hmac.digest(self._key, name.encode(), "sha256").hex()


def read_cookies(request: Request) -> dict[str, str]:
    """The cookies by name; `Request.cookies` takes more names for ours than browsers protect."""
    return parse_cookies(request.headers.getlist("cookie"))
