"""When each user is checked in the background.

Redis: `auth:recheck`, a sorted set with the time of the next check of each identity. Checks are spread by a random part
of the interval.
"""

from dataclasses import dataclass
from random import SystemRandom

from redis.asyncio import Redis

from auth_service.accounts.identities import Identity
from auth_service.protocol import Clock

__all__ = ["SPREAD", "RecheckSchedule"]

SPREAD = 0.2
"""A check takes place at a random moment of this last part of its interval."""

_DUE = "auth:recheck"
_CHECKS_AT_A_TIME = 10
_RETRY_SECONDS = 60.0

_RANDOM = SystemRandom()  # unlike the module's functions, it has no state that all threads of the process share


@dataclass(frozen=True, slots=True)
class RecheckSchedule:
    """When each identity is due. Raises `redis.exceptions.RedisError` if Redis is unavailable."""

    redis: Redis
    clock: Clock

    async def plan(self, identity: Identity, interval: float) -> None:
        """The next check of this identity, `interval` seconds after the last one at the latest."""
        share = 1 - _RANDOM.random() * SPREAD
        due_at = max(self.clock() + 1, identity.checked_at_seconds + interval * share)
        await self.redis.zadd(_DUE, {identity.key: due_at})

    async def postpone(self, key: str) -> None:
        """After a failure."""
        await self.redis.zadd(_DUE, {key: self.clock() + _RETRY_SECONDS * (1 + _RANDOM.random())})

    async def forget(self, key: str) -> None:
        await self.redis.zrem(_DUE, key)

    async def due(self) -> list[str]:
        """The keys of the identities that are due, the oldest first."""
        found = await self.redis.zrangebyscore(_DUE, 0, self.clock(), start=0, num=_CHECKS_AT_A_TIME)
        return [str(key) for key in found]
