"""Ends authorization grants: their refresh tokens, and their access tokens at this server and at resource servers."""

from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from auth_service.audit_recorder import AuditRecorder
from auth_service.protocol import Clock
from auth_service.settings import AuthSettings
from auth_service.token_status.revocations import StatusRevocations
from auth_service.tokens.live_grants import LiveGrant, LiveGrants
from auth_service.tokens.refresh_tokens import FAMILY_PREFIX
from auth_service.tokens.revoked_tokens import RevokedTokens

__all__ = ["GrantRevocation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRevocation:
    """Raises `RedisError` and `JournalUnavailable`.

    Each revoked grant is one audit event, besides that of the reason. Whatever ends an account, its sign-ins or a
    consent also calls `revoke_all`: otherwise resource servers accept the user's access tokens until they expire.
    """

    redis: Redis
    grants: LiveGrants
    revoked: RevokedTokens
    statuses: StatusRevocations

    @classmethod
    def of(
        cls,
        settings: AuthSettings,
        redis: Redis,
        record: AuditRecorder,
        *,
        clock: Clock,
        count: Callable[[], object] = lambda: None,
    ) -> "GrantRevocation":
        """For the service, and for commands that end the grants of a user. `count` is that of `StatusRevocations`."""
        access_seconds = settings.access_token_lifetime_seconds
        return cls(
            redis=redis,
            grants=LiveGrants(
                redis=redis,
                clock=clock,
                access_seconds=access_seconds,
                refresh_seconds=settings.refresh_absolute_lifetime_seconds,
                idle_seconds=settings.refresh_idle_lifetime_seconds,
            ),
            revoked=RevokedTokens(redis, lifetime_seconds=access_seconds),
            statuses=StatusRevocations(
                redis=redis, record=record, lifetime_seconds=settings.status_lifetime_seconds, count=count
            ),
        )

    async def revoke(self, subject: str, family_id: str) -> None:
        """Revokes all tokens of one grant of the user."""
        grant = await self.grants.find(subject, family_id)
        await self.revoked.revoke(family_id)
        await self.redis.delete(FAMILY_PREFIX + family_id)
        if grant is not None:
            await self.statuses.revoke(grant.status, client_id=grant.client_id, user_id=subject)
            await self.grants.remove(subject, family_id)

    async def revoke_all(self, subject: str, *, concerns: Callable[[LiveGrant], bool] | None = None) -> list[LiveGrant]:
        """Revokes the grants of the user, or those for which `concerns` returns True. Returns them."""
        ended = [each for each in await self.grants.all(subject) if concerns is None or concerns(each)]
        for grant in ended:
            await self.revoke(subject, grant.family_id)
        return ended
