"""Rate limits: growing waiting times after failures, limits of uses, and work that is done one request after another.

Failures are counted in Redis, so that replicas share the count. Who has to wait is stored in memory, so that a request
without a failure costs no Redis command. While Redis is not available, each replica counts on its own. The memory is
bounded, because clients choose the names that are counted.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import Redis

from auth_service.errors import OAuthError, TooManyFailures
from auth_service.protocol import Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import network_of

__all__ = ["SerialWork", "Throttle", "redis_counters"]

_MAX_NAMES = 10_000
_MAX_NAMES_BYTES = 4 * 1024 * 1024
_ENTRY_BYTES = 200  # memory that an entry takes in addition to its names
_MAX_WAIT_SECONDS = 900

log = structlog.get_logger(__name__)


class Throttle:
    """Counts events by name. After `free` events within the window, each further one doubles the waiting time.

    IPv6 addresses are counted by their network of 64 bits, because one host can use all addresses of it.
    """

    def __init__(
        self,
        *,
        name: str,
        storage: Storage,
        clock: Clock,
        free: int,
        window_seconds: int = 900,
        error: type[OAuthError] = TooManyFailures,
        description: str = "too many attempts; wait and try again",
    ) -> None:
        """`error` and `description` are what `check` raises."""
        self._storage = storage
        self._clock = clock
        self._free_events = free
        self._window = RateLimitItemPerSecond(free, window_seconds, namespace=name)
        self._error = error
        self._description = description
        self._blocked_until = _bounded_names(clock)
        # The number of events per name that are counted in this process only.
        self._local_counts = _bounded_names(clock)

    def check(self, *names: str) -> None:
        """Raises the error with `retry_after_seconds` while `names` (for example client and address) have to wait."""
        wait_seconds = (self._blocked_until.get(_key(names)) or 0.0) - self._clock()
        if wait_seconds > 0:
            raise self._error(self._description, retry_after_seconds=math.ceil(wait_seconds))

    async def count(self, *names: str, shared: bool = True) -> None:
        """Counts one event.

        `shared` counts are in Redis. Names that clients invent are counted with `shared=False`, in this process:
        otherwise one address could fill Redis with keys.
        """
        key = _key(names)
        count = await self._count_in_redis(key) if shared else None
        if count is None:
            count = self._count_locally(key)
        if count >= self._free_events:
            wait_seconds = min(2.0 ** (count - self._free_events), _MAX_WAIT_SECONDS)
            self._blocked_until.put(
                key, self._clock() + wait_seconds, size_bytes=_size_of(key), lifetime_seconds=wait_seconds
            )

    async def _count_in_redis(self, key: tuple[str, ...]) -> int | None:
        """The count, or None if Redis is not available."""
        try:
            return await self._storage.incr(self._window.key_for(*key), self._window.get_expiry())
        except StorageError as error:
            log.warning("rate_limit_counted_locally", throttle=self._window.namespace, cause=type(error).__name__)
            return None

    def _count_locally(self, key: tuple[str, ...]) -> int:
        count = int(self._local_counts.get(key) or 0) + 1
        self._local_counts.put(key, count, size_bytes=_size_of(key), lifetime_seconds=self._window.get_expiry())
        return count


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class SerialWork:
    """Runs the work of one name one after the other, in this process.

    A limit that is checked before some work and counted after it would let through a hundred concurrent requests.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def wait_for(self, name: str) -> AsyncGenerator[None]:
        """Waits until no other block with this name is running, then runs the block."""
        queue = self._queues.setdefault(name, _Queue())
        queue.length += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.length -= 1
            if queue.length == 0:
                del self._queues[name]


def redis_counters(redis: Redis) -> Storage:
    """Counts that replicas share, over the connections of `redis`: `auth:limits:*`."""
    return RedisStorage(
        "redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="auth:limits",
        connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] # documented, not annotated
    )


def _bounded_names(clock: Clock) -> BoundedCache[tuple[str, ...], float]:
    return BoundedCache(clock=clock, max_entries=_MAX_NAMES, max_bytes=_MAX_NAMES_BYTES)


def _key(names: tuple[str, ...]) -> tuple[str, ...]:
    # `network_of` returns a name that is not an address unchanged.
    return tuple(network_of(name) for name in names)


def _size_of(key: tuple[str, ...]) -> int:
    return _ENTRY_BYTES + sum(map(len, key))
