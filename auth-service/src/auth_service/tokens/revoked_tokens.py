"""Access tokens that were revoked before they expire: `auth:denied:<jti>` and `auth:denied:<family>`.

Introspection, userinfo and token exchange check these entries. A resource server that verifies tokens by itself accepts
revoked ones until they expire.
"""

from redis.asyncio import Redis

__all__ = ["RevokedTokens", "family_of"]

_PREFIX = "auth:denied:"  # the stored name


class RevokedTokens:
    """Entries are stored for the lifetime of an access token. Raises `RedisError` if Redis is unavailable."""

    def __init__(self, redis: Redis, *, lifetime_seconds: int) -> None:
        self._redis = redis
        self._lifetime_seconds = lifetime_seconds

    async def revoke(self, token_id: str) -> None:
        """Revokes one token by its `jti`, or every access token of a family by the id of the family."""
        await self._redis.set(_PREFIX + token_id, "1", ex=self._lifetime_seconds)

    async def is_revoked(self, token_id: str) -> bool:
        """Whether the token with this `jti`, or its family, was revoked."""
        return bool(await self._redis.exists(_PREFIX + token_id, _PREFIX + family_of(token_id)))


def family_of(token_id: str) -> str:
    """The family id that a `jti` begins with (`AccessTokenMinter.mint`); without a family, the whole `jti`."""
    return token_id.partition(".")[0]
