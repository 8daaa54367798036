"""When each user is checked in the background.

Redis: `auth:recheck:<provider>`, sorted sets with the time of the next check of each identity. Checks are spread by a
random part of the interval. A replica claims what is due: the time moves by two minutes, and another replica takes over
if the check has not ended then.
"""

from dataclasses import dataclass
from importlib.resources import files
from random import SystemRandom
from typing import cast

from redis.asyncio import Redis

from auth_service.accounts.identities import Identity
from auth_service.protocol import Clock

__all__ = ["SPREAD", "RecheckSchedule"]

SPREAD = 0.2
"""A check takes place at a random moment of this last part of its interval."""

_DUE = "auth:recheck:"
_CLAIMS_AT_A_TIME = 50
_CLAIM_SECONDS = 120.0
_RETRY_SECONDS = 60.0
_CLAIM = files("auth_service.federation").joinpath("claim_due_checks.lua").read_text(encoding="utf-8")

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
        await self.redis.zadd(_DUE + identity.provider, {identity.key: due_at})

    async def postpone(self, provider: str, key: str) -> None:
        """After a failure, for one to two minutes."""
        await self.redis.zadd(_DUE + provider, {key: self.clock() + _RETRY_SECONDS * (1 + _RANDOM.random())})

    async def forget(self, provider: str, key: str) -> None:
        await self.redis.zrem(_DUE + provider, key)

    async def claim(self, provider: str) -> list[str]:
        """The keys of identities that are due and now this replica's, the oldest first; 50 at most."""
        now = self.clock()
        claim = self.redis.register_script(_CLAIM)
        found = await claim(keys=[_DUE + provider], args=[now, _CLAIMS_AT_A_TIME, now + _CLAIM_SECONDS])
        return [str(key) for key in cast("list[str]", found)]
