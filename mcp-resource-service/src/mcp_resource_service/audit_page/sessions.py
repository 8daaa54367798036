"""Server-side sessions: the cookie is only a name, so that signing out and expiry are ours to decide."""

import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

__all__ = ["Session", "Sessions"]

PREFIX = "mcp:audit_page:"
NAME_BYTES = 32


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

    async def end(self, name: str) -> None:
        """Forgets a session."""
        await self._redis.delete(self._redis_key(name))

    def _redis_key(self, name: str) -> str:
        return PREFIX + hmac.digest(self._key, name.encode(), "sha256").hex()
