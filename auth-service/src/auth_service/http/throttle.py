"""Growing delays for those who keep failing, and plain rate limits.

Failures are counted in Redis, so that replicas share the count; whether somebody must wait is remembered in memory, so
that a request which fails nothing costs no Redis command. While Redis is away each replica counts for itself. What is
remembered is bounded, since strangers choose the names.
"""

import math

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import Redis

from auth_service.errors import OAuthError, TooManyFailures
from auth_service.protocol import Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge.client_address import network_of

__all__ = ["Throttle", "redis_counters"]

_REMEMBERED = 10_000
_REMEMBERED_BYTES = 4 * 1024 * 1024
_ENTRY_BYTES = 200
_LONGEST_WAIT_SECONDS = 900

log = structlog.get_logger(__name__)


class Throttle:
    """Counts events by name. After `free` of them within the window each further one doubles the wait.

    Whoever has one IPv6 address has a network of them to take turns with, so the network is counted.
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
        self._storage = storage
        self._clock = clock
        self._free = free
        self._window = RateLimitItemPerSecond(free, window_seconds, namespace=name)
        self._error = error
        self._description = description
        self._blocked_until = _names(clock)
        # How many events each name had, of those that are counted in this process only.
        self._counted_locally = _names(clock)

    def check(self, *who: str) -> None:
        """Raises the error with `retry_after_seconds` while `who` (a client and an address, say) must wait."""
        wait_seconds = (self._blocked_until.get(tuple(map(network_of, who))) or 0.0) - self._clock()
        if wait_seconds > 0:
            raise self._error(self._description, retry_after_seconds=math.ceil(wait_seconds))

    async def count(self, *who: str, shared: bool = True) -> int:
        """One more failure, or one more use; returns how many within the window.

        `shared` counts are in Redis. Names that strangers make up are counted with `shared=False`, in this process:
        each would be another key in Redis, and one address could fill it.
        """
        who = tuple(map(network_of, who))
        seen = await self._count_in_redis(who) if shared else None
        if seen is None:
            seen = self._count_locally(who, self._window.get_expiry())
        if seen >= self._free:
            wait_seconds = min(2.0 ** (seen - self._free), _LONGEST_WAIT_SECONDS)
            self._blocked_until.put(
                who, self._clock() + wait_seconds, size_bytes=_size_of(who), lifetime_seconds=wait_seconds
            )
        return seen

    async def _count_in_redis(self, who: tuple[str, ...]) -> int | None:
        """None while Redis is away."""
        try:
            return await self._storage.incr(self._window.key_for(*who), self._window.get_expiry())
        except StorageError as error:
            log.warning("counting locally", throttle=self._window.namespace, cause=type(error).__name__)
            return None

    def _count_locally(self, who: tuple[str, ...], window_seconds: float) -> int:
        seen = int(self._counted_locally.get(who) or 0) + 1
        self._counted_locally.put(who, seen, size_bytes=_size_of(who), lifetime_seconds=window_seconds)
        return seen


def _names(clock: Clock) -> BoundedCache[tuple[str, ...], float]:
    return BoundedCache(clock=clock, max_entries=_REMEMBERED, max_bytes=_REMEMBERED_BYTES)


def _size_of(who: tuple[str, ...]) -> int:
    return _ENTRY_BYTES + sum(map(len, who))


def redis_counters(redis: Redis, url: str) -> Storage:
    """Counts that replicas share, over the connections of `redis`: `auth:limits:*`."""
    return RedisStorage(
        url,
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="auth:limits",
        connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] # documented, not annotated
    )
