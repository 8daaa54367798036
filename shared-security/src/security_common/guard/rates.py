"""How much one caller may ask for in a minute: counted here, and shared with the other replicas in the background.

A round trip to Redis before each answer would cost more than the request. So each replica decides on what it has
counted itself and last heard of the others; the limit may be passed by what arrives within one exchange. Without
Redis, or while it is away, each replica counts alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.task_cancellation import cancel_tasks

__all__ = ["RequestRates"]

REQUESTS_PER_MINUTE = 6000
MINUTE_SECONDS = 60
SHARE_SECONDS = 1.0
KEPT_SECONDS = 2 * MINUTE_SECONDS
SHARED_AT_ONCE = 100
# A subject has up to 512 characters, so that this many callers take some 25 MB at most.
MAX_CALLERS = 20_000

_RATES = files("security_common.guard").joinpath("rates.lua").read_text(encoding="ascii")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """Requests of one caller in this minute: all that are known of, and those the others have not heard of."""

    known: int = 0
    unshared: int = 0


class RequestRates:
    """Counts requests per (issuer, subject). `clock` gives seconds since the epoch, alike on all replicas."""

    def __init__(
        self,
        per_minute: int = REQUESTS_PER_MINUTE,
        *,
        clock: Callable[[], float] = time.time,
        redis: Redis | None = None,
        key_prefix: str = "mcp:rates",
    ) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._redis = redis
        self._key_prefix = key_prefix
        self._minute = 0
        self._counts: dict[tuple[str, str], _Count] = {}
        self._sharing: asyncio.Task[None] | None = None

    def take(self, issuer: str, subject: str) -> int | None:
        """Counts one request; None when it is allowed, else the seconds until the next minute."""
        now = self._clock()
        minute = int(now // MINUTE_SECONDS)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        count = self._counts.get((issuer, subject))
        if count is None:
            if len(self._counts) >= MAX_CALLERS:
                # The caller that came first in this minute starts anew: with so many of them it cannot gain much.
                del self._counts[next(iter(self._counts))]
            count = self._counts[issuer, subject] = _Count()
        if count.known >= self._per_minute:
            return MINUTE_SECONDS - int(now % MINUTE_SECONDS)
        count.known += 1
        count.unshared += 1
        return None

    async def start(self) -> None:
        """Begins to share, if there is somewhere to. Twice is once."""
        if self._redis is not None and self._sharing is None:
            self._sharing = asyncio.create_task(self._keep_sharing(self._redis), name="request-rates")

    async def stop(self) -> None:
        """Ends the sharing. Twice is once."""
        sharing, self._sharing = self._sharing, None
        if sharing is not None:
            await cancel_tasks(sharing)

    async def share(self, redis: Redis) -> None:
        """Tells the others what came here and learns what came there. Raises RedisError."""
        add, minute = redis.register_script(_RATES), self._minute
        told = [(caller, count) for caller, count in self._counts.items() if count.unshared]
        # A thousand callers in one go would hold the event loop for 30 ms.
        for start in range(0, len(told), SHARED_AT_ONCE):
            some = told[start : start + SHARED_AT_ONCE]
            added = [count.unshared for _, count in some]
            keys = [self._key(minute, caller) for caller, _ in some]
            sums = await add(keys, [KEPT_SECONDS, *added])
            for (_, count), delta, total in zip(some, added, sums, strict=True):
                count.unshared -= delta
                count.known = max(count.known, int(total) + count.unshared)

    def _key(self, minute: int, caller: tuple[str, str]) -> str:
        # Hashed: a subject is a person, and keys end up in slow logs and screenshots.
        name = sha256("\n".join(caller).encode()).hexdigest()[:32]
        return f"{self._key_prefix}:{minute}:{name}"

    async def _keep_sharing(self, redis: Redis) -> None:
        away = False
        # Not `while True`: on Python 3.11 a timeout inside redis-py can swallow the cancellation that stop() sends.
        while self._sharing is not None:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share(redis)
                away = False
            except (RedisError, OSError) as error:
                if not away:
                    logger.warning("request rates are counted alone: %s", type(error).__name__)
                away = True
