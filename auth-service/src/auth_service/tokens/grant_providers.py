"""At which identity provider the user of an access token signed in: `auth:grant-provider:<family>`.

The token does not name the provider, because resource servers need not know it. Token exchange has to: what the user
may grant follows from the rules of that provider.
"""

from dataclasses import dataclass

from redis.asyncio import Redis

from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["GrantProviders"]

_PREFIX = "auth:grant-provider:"


@dataclass(frozen=True, slots=True)
class GrantProviders:
    """Entries are stored for the lifetime of an access token. Raises `RedisError` if Redis is unavailable."""

    redis: Redis
    lifetime_seconds: int

    async def remember(self, grant: AuthorizationGrant) -> None:
        """Stores the provider before an access token of this grant is issued. Nothing for a sign-in with a password."""
        if grant.provider is not None:
            await self.redis.set(_PREFIX + grant.family_id, grant.provider, ex=self.lifetime_seconds)

    async def find(self, family_id: str) -> str | None:
        """The provider of a grant whose access tokens are still valid; None for a sign-in with a password."""
        provider = await self.redis.get(_PREFIX + family_id)
        return str(provider) if provider else None
