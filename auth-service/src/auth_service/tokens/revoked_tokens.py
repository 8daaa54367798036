"""Access tokens that are denied before they expire: `auth:denied:<jti>` and `auth:denied:<family>`.

A token is denied where it is asked about here, at introspection and userinfo; a resource server that verifies tokens
by itself honours them until they expire.
"""

from redis.asyncio import Redis

__all__ = ["RevokedTokens", "family_of"]

_PREFIX = "auth:denied:"


class RevokedTokens:
    """Kept as long as the longest token lives. Raises `redis.exceptions.RedisError` when Redis is away."""

    def __init__(self, redis: Redis, *, lifetime_seconds: int) -> None:
        self._redis = redis
        self._lifetime_seconds = lifetime_seconds

    async def revoke(self, token_id: str) -> None:
        """Denies one token by its `jti`, or every token of a family by the family's id."""
        await self._redis.set(_PREFIX + token_id, "1", ex=self._lifetime_seconds)

    async def is_revoked(self, token_id: str) -> bool:
        return bool(await self._redis.exists(_PREFIX + token_id, _PREFIX + family_of(token_id)))


def family_of(token_id: str) -> str:
    """The grant that a token came from leads its `jti`; see `AccessTokenMinter.mint`."""
    return token_id.partition(".")[0]
