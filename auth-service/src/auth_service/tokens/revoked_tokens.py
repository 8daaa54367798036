"""Access tokens that were revoked before they expire: `auth:denied:<jti>` and `auth:denied:<family>`.

Introspection, userinfo and token exchange check these entries, and the bit of the token in its status list, which
resource servers check (`token_status`). A token that was revoked alone has only an entry: one that a client got by
exchange, and one that was issued before there were status lists. Resource servers accept it until it expires.
"""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from auth_service.token_status.revocations import revoked_key
from auth_service.token_status.status_indices import StatusReference

__all__ = ["RevokedTokens", "family_of", "status_in"]

_PREFIX = "auth:denied:"  # the stored name


class RevokedTokens:
    """Entries are stored for the lifetime of an access token. Raises `RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis, *, lifetime_seconds: int) -> None:
        self._redis = redis
        self._lifetime_seconds = lifetime_seconds

    async def revoke(self, token_id: str) -> None:
        """Revokes one token by its `jti`, or every access token of a family by the id of the family."""
        await self._redis.set(_PREFIX + token_id, "1", ex=self._lifetime_seconds)

    async def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token with these claims, its family or its status was revoked."""
        token_id, status = claims["jti"], status_in(claims)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.exists(_PREFIX + token_id, _PREFIX + family_of(token_id))
            if status is not None:
                pipe.getbit(revoked_key(status.list_id), status.index)
            return any(await pipe.execute())


def family_of(token_id: str) -> str:
    """The family id that a `jti` begins with (`AccessTokenMinter.mint`); without a family, the whole `jti`."""
    return token_id.partition(".")[0]


def status_in(claims: Mapping[str, Any]) -> StatusReference | None:
    """The status of a verified token of this server; None if it was issued before there were status lists."""
    status: Any = claims.get("status")
    if status is None:
        return None
    members: Mapping[str, Any] = status["status_list"]
    return StatusReference(str(members["uri"]).rpartition("/")[2], int(members["idx"]))
