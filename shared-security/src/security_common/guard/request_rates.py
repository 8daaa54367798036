"""The number of requests that a caller may send in a minute: counted in the process, and shared through Redis.

The shared counts are in the `limits` library. It does not decide on single requests: a command to Redis costs more than
a whole request, and even the library's storage in memory costs eight times as much as the dictionary here. So each
replica decides by what it has counted itself and last read of the others, and shares its counts once a second.

    allowed per minute  ≤  limit + replicas × (1 % of the limit + the requests of one second)

A count below 1 % of the limit is not shared: most callers send few requests, and each shared count is a command.
Without Redis, and while it does not answer, each replica counts alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from limits.aio.storage import RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import Redis

from security_common.task_cancellation import cancel_tasks

__all__ = ["RequestRates"]

_REQUESTS_PER_MINUTE = 6000
_MINUTE_SECONDS = 60
_SHARE_INTERVAL_SECONDS = 1.0
_SHARED_COUNT_SECONDS = 2 * _MINUTE_SECONDS
_CONCURRENT_COMMANDS = 20
MAX_CALLERS = 20_000
"""A subject has up to 512 characters, so this many callers take about 25 MB at most."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """Requests of one caller in this minute: those of all replicas as far as known, and those not yet shared."""

    known: int = 0
    unshared: int = 0


class RequestRates:
    """Counts requests per caller, which is an issuer and a subject.

    `clock` returns seconds since the epoch; the replicas' clocks must agree to about a second. With `redis` the counts
    are shared between all replicas that have the same `key_prefix`.
    """

    def __init__(
        self,
        per_minute: int = _REQUESTS_PER_MINUTE,
        *,
        clock: Callable[[], float] = time.time,
        redis: Redis | None = None,
        key_prefix: str = "mcp:rates",
    ) -> None:
        self._per_minute = per_minute
        self._share_from = max(1, per_minute // 100)
        self._clock = clock
        self._storage = _storage_on(redis, key_prefix) if redis is not None else None
        self._minute = 0
        self._counts: dict[tuple[str, str], _Count] = {}
        self._sharing: asyncio.Task[None] | None = None

    def take(self, issuer: str, subject: str) -> int | None:
        """Counts one request. Returns None if it is allowed, otherwise the seconds until the next minute."""
        now = self._clock()
        minute = int(now // _MINUTE_SECONDS)
        if minute != self._minute:
            self._minute = minute
            self._counts = {}
        count = self._counts.get((issuer, subject))
        if count is None:
            if len(self._counts) >= MAX_CALLERS:
                # The oldest count is dropped and its caller starts again: among so many it gains little.
                del self._counts[next(iter(self._counts))]
            count = _Count()
            self._counts[issuer, subject] = count
        if count.known >= self._per_minute:
            return _MINUTE_SECONDS - int(now % _MINUTE_SECONDS)
        count.known += 1
        count.unshared += 1
        return None

    async def start(self) -> None:
        """Starts sharing the counts if there is a Redis. A second call does nothing."""
        if self._storage is not None and self._sharing is None:
            self._sharing = asyncio.create_task(self._keep_sharing(), name="request-rates")

    async def stop(self) -> None:
        """Stops sharing the counts. A second call does nothing."""
        sharing = self._sharing
        self._sharing = None
        if sharing is not None:
            await cancel_tasks(sharing)

    async def share(self) -> None:
        """Adds the counts of this replica to the shared ones and reads the sums. Raises `StorageError`."""
        if self._storage is None:
            return
        minute = self._minute
        to_share = [item for item in self._counts.items() if item[1].unshared >= self._share_from]
        for start in range(0, len(to_share), _CONCURRENT_COMMANDS):
            batch = to_share[start : start + _CONCURRENT_COMMANDS]
            await asyncio.gather(*(self._share_count(self._storage, minute, *item) for item in batch))

    async def _share_count(self, storage: Storage, minute: int, caller: tuple[str, str], count: _Count) -> None:
        # The caller is hashed, because a subject is a person, and keys appear in slow logs and screenshots.
        caller_hash = sha256("\n".join(caller).encode()).hexdigest()[:32]
        added = count.unshared
        total = await storage.incr(f"{minute}:{caller_hash}", _SHARED_COUNT_SECONDS, added)
        count.unshared -= added
        count.known = max(count.known, total + count.unshared)

    async def _keep_sharing(self) -> None:
        is_available = True
        while True:
            await asyncio.sleep(_SHARE_INTERVAL_SECONDS)
            try:
                await self.share()
            except StorageError as error:
                if is_available:
                    logger.warning("request_rates_not_shared cause=%s", type(error.storage_error).__name__)
                is_available = False
            else:
                is_available = True


def _storage_on(redis: Redis, key_prefix: str) -> Storage:
    """The storage of `limits` on the connections of this client; the URL has no effect then."""
    return RedisStorage(
        "redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=key_prefix,
        connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] # documented, not annotated
    )
