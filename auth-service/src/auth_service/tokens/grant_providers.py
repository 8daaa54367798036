"""What was behind the grant of an access token: `auth:grant-provider:<family>`.

The token does not name the identity provider at which its user signed in, because resource servers do not need it.
Token exchange needs it: what the user may grant follows from the rules of that provider, and depends on whether the
user has consented, or the provider issued an assertion to the client (ID-JAG).
"""

from dataclasses import dataclass

from redis.asyncio import Redis

from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["GrantOrigin", "GrantProviders"]

_PREFIX = "auth:grant-provider:"
# Follows the id of the provider, which has no space. Releases before there were assertions store the id alone.
_ASSERTED = " asserted"


@dataclass(frozen=True, slots=True)
class GrantOrigin:
    """The provider, None for a sign-in with a password. `is_asserted` is that of `AuthorizationGrant`."""

    provider: str | None
    is_asserted: bool = False


@dataclass(frozen=True, slots=True)
class GrantProviders:
    """Entries are stored for the lifetime of an access token. Raises `RedisError` if Redis is unavailable."""

    redis: Redis
    lifetime_seconds: int

    async def remember(self, grant: AuthorizationGrant) -> None:
        """Stores the provider before an access token of this grant is issued. Nothing for a sign-in with a password."""
        if grant.provider is not None:
            value = grant.provider + (_ASSERTED if grant.is_asserted else "")
            await self.redis.set(_PREFIX + grant.family_id, value, ex=self.lifetime_seconds)

    async def find(self, family_id: str) -> GrantOrigin:
        """The origin of a grant whose access tokens are still valid."""
        value = await self.redis.get(_PREFIX + family_id)
        if not value:
            return GrantOrigin(None)
        return GrantOrigin(str(value).removesuffix(_ASSERTED), is_asserted=str(value).endswith(_ASSERTED))
