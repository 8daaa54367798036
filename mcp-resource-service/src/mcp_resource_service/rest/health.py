"""Whether this process can do its work, for load balancers, people and the status tool."""

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.journal import Journal
from security_common.service import find_weaknesses
from security_common.tokens import TokenVerifier

__all__ = ["Check", "Health"]

REDIS_ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `required` ones decide on readiness; `note` says what to do when it is not `ok`."""

    ok: bool
    required: bool
    note: str = ""


class Health:
    """What readiness depends on. Redis does not: tokens are judged and `/hello` answers without it."""

    def __init__(self, *, keys: TokenVerifier, record: Journal, redis: Redis) -> None:
        self._keys = keys
        self._record = record
        self._redis = redis
        self._draining = False

    def start_draining(self) -> None:
        """From now on not ready, while requests are still answered: load balancers look away."""
        self._draining = True

    async def checks(self) -> dict[str, Check]:
        """Every check by name."""
        return {
            "process": Check(not self._draining, required=True, note="stopping" if self._draining else ""),
            "keys": self._check_keys(),
            "journal": Check(
                self._record.writable,
                required=True,
                note="" if self._record.writable else "the audit journal cannot be written: look at its disk",
            ),
            "redis": await self._check_redis(),
        }

    def _check_keys(self) -> Check:
        ready = self._keys.ready
        return Check(ready, required=True, note=self._keys.problem or ("" if ready else "no keys of the issuer yet"))

    async def _check_redis(self) -> Check:
        try:
            async with asyncio.timeout(REDIS_ANSWER_SECONDS):
                weaknesses = await find_weaknesses(self._redis)
        except (RedisError, OSError, TimeoutError):
            return Check(ok=False, required=False, note="does not answer: storing and reading tools say 503")
        return Check(ok=True, required=False, note="; ".join(weaknesses))
