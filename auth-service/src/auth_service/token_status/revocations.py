"""Revokes indices of status lists. Keys, with the hash tag of `status_indices`:

auth:{status}:revoked:<list>   a bit for each revoked index, as the signed list has it
auth:{status}:changes          how many bits were set: lists are read again when it changes
"""

from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from auth_service.audit_recorder import AuditRecorder
from auth_service.token_status.status_indices import KEY_PREFIX, StatusReference
from security_common.audit import Action, EventType

__all__ = ["CHANGES_KEY", "StatusRevocations", "revoked_key", "set_revoked"]

CHANGES_KEY = f"{KEY_PREFIX}changes"


def revoked_key(list_id: str) -> str:
    """The key of the revoked bits of a list."""
    return f"{KEY_PREFIX}revoked:{list_id}"


async def set_revoked(redis: Redis, status: StatusReference, *, lifetime_seconds: int) -> bool:
    """Sets the bit; returns whether it was not set before. `lifetime_seconds` is that of `StatusIndices`."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.setbit(revoked_key(status.list_id), status.index, 1)
        if status.list_id.startswith("g"):
            pipe.expire(revoked_key(status.list_id), lifetime_seconds)
        pipe.incr(CHANGES_KEY)
        was_set, *_ = await pipe.execute()
    return not was_set


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRevocations:
    """Revokes every access token with an index, at all verifiers. Raises `RedisError` and `JournalUnavailable`.

    `lifetime_seconds` is that of `StatusIndices`. `count` is called for each revocation, for metrics.
    """

    redis: Redis
    record: AuditRecorder
    lifetime_seconds: int
    count: Callable[[], object] = lambda: None

    async def revoke(self, status: StatusReference, *, client_id: str, user_id: str | None = None) -> None:
        """Records the revocation, then sets the bit: `replay` finds it in the journal if Redis loses it."""
        await self.record(
            None,
            event_type=EventType.ACCESS_TOKENS_REVOKED,
            action=Action.REVOKED,
            client_id=client_id,
            user_id=user_id,
            reason=str(status),
        )
        await set_revoked(self.redis, status, lifetime_seconds=self.lifetime_seconds)
        self.count()

    async def is_revoked(self, status: StatusReference) -> bool:
        """Whether the bit of this index is set."""
        return bool(await self.redis.getbit(revoked_key(status.list_id), status.index))
