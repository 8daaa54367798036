"""The authorization grants of each user whose tokens may still be valid: `auth:account-grants:<sub>`.

A hash with one field for each grant, so that all access tokens of a user can be revoked, and shown on the account page.
A grant without refresh tokens is kept while its access token is valid, another one as long as its refresh tokens can be
renewed.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.protocol import Clock
from auth_service.token_status.status_indices import StatusReference
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.refresh_tokens import FAMILY_PREFIX

__all__ = ["LiveGrant", "LiveGrants"]

_PREFIX = "auth:account-grants:"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrant:
    """A grant and its index in a status list. Times are seconds since the epoch.

    Its access tokens are valid until `access_expires_at_seconds` at least, and longer if it has refresh tokens, which
    end at `expires_at_seconds`. `provider` and `provider_session` are those of `AuthorizationGrant`.
    """

    family_id: str
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    status: StatusReference
    provider: str | None = None
    provider_session: str | None = None
    granted_at_seconds: int
    access_expires_at_seconds: int
    expires_at_seconds: int


_ADAPTER = TypeAdapter(LiveGrant)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrants:
    """Reads and writes the grants. Raises `RedisError` if Redis is unavailable.

    `access_seconds` is the lifetime of an access token, `refresh_seconds` that of the refresh tokens of a grant, and
    `idle_seconds` that of a refresh token that is not used.
    """

    redis: Redis
    clock: Clock
    access_seconds: int
    refresh_seconds: int
    idle_seconds: int

    async def add(self, grant: AuthorizationGrant, status: StatusReference, *, has_refresh_token: bool) -> None:
        """Stores the grant before its first tokens are issued, and removes those of the user that have expired."""
        now = int(self.clock())
        live = LiveGrant(
            family_id=grant.family_id,
            client_id=grant.client_id,
            resource=grant.resource,
            scopes=grant.scopes,
            status=status,
            provider=grant.provider,
            provider_session=grant.provider_session,
            granted_at_seconds=now,
            access_expires_at_seconds=now + self.access_seconds,
            expires_at_seconds=now + self.access_seconds + (self.refresh_seconds if has_refresh_token else 0),
        )
        key = _PREFIX + grant.subject
        expired = [each.family_id for each in await self._stored(grant.subject) if each.expires_at_seconds <= now]
        async with self.redis.pipeline(transaction=True) as pipe:
            if expired:
                pipe.hdel(key, *expired)
            pipe.hset(key, grant.family_id, _ADAPTER.dump_json(live))
            pipe.expire(key, self.access_seconds + self.refresh_seconds)
            await pipe.execute()

    async def find(self, subject: str, family_id: str) -> LiveGrant | None:
        document = await self.redis.hget(_PREFIX + subject, family_id)
        return _ADAPTER.validate_json(document) if document else None

    async def all(self, subject: str) -> list[LiveGrant]:
        """The grants whose tokens may be valid, oldest first."""
        now = self.clock()
        found: list[LiveGrant] = []
        for grant in await self._stored(subject):
            has_refresh_tokens = await self.redis.exists(FAMILY_PREFIX + grant.family_id)
            if grant.expires_at_seconds > now and (has_refresh_tokens or self._can_have_access_tokens(grant, now)):
                found.append(grant)
        return sorted(found, key=lambda grant: (grant.granted_at_seconds, grant.family_id))

    async def remove(self, subject: str, family_id: str) -> None:
        await self.redis.hdel(_PREFIX + subject, family_id)

    def _can_have_access_tokens(self, grant: LiveGrant, now: float) -> bool:
        """Whether a grant without refresh tokens can have an access token that is still valid.

        When its tokens were last refreshed is not stored. The access token of that time outlives the refresh tokens if
        their lifetime ended after it, or if unused ones expire sooner than an access token.
        """
        refresh_tokens_ended = grant.expires_at_seconds - self.access_seconds <= now
        return grant.access_expires_at_seconds > now or refresh_tokens_ended or self.idle_seconds < self.access_seconds

    async def _stored(self, subject: str) -> list[LiveGrant]:
        return [_ADAPTER.validate_json(document) for document in await self.redis.hvals(_PREFIX + subject)]
