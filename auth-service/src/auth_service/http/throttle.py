"""Growing delays for those who keep failing, and plain rate limits.

Failures are counted in Redis, so that replicas share the count; whether somebody must wait is remembered in memory, so
that a request which fails nothing costs no Redis command. While Redis is away each replica counts for itself.
"""

import math
from collections import OrderedDict

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.errors import StorageError
from redis.asyncio import Redis

from auth_service.errors import OAuthError, TooManyFailures
from auth_service.vocabulary import Clock
from security_common.addresses import network_of

__all__ = ["Throttle", "redis_counters"]

_REMEMBERED = 10_000
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
    ) -> None:
        self._storage = storage
        self._local = MemoryStorage()
        self._clock = clock
        self._free = free
        self._window = RateLimitItemPerSecond(free, window_seconds, namespace=name)
        self._error = error
        self._blocked_until: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def check(self, *who: str) -> None:
        """Raises the error with `retry_after_seconds` while `who` (a client and an address, say) must wait."""
        wait_seconds = self._blocked_until.get(tuple(map(network_of, who)), 0.0) - self._clock()
        if wait_seconds > 0:
            raise self._error("too many attempts; wait and try again", retry_after_seconds=math.ceil(wait_seconds))

    async def count(self, *who: str) -> int:
        """One more failure, or one more use; returns how many within the window."""
        who = tuple(map(network_of, who))
        key, window_seconds = self._window.key_for(*who), self._window.get_expiry()
        try:
            seen = await self._storage.incr(key, window_seconds)
        except StorageError as error:
            log.warning("counting locally", throttle=self._window.namespace, cause=type(error).__name__)
            seen = await self._local.incr(key, window_seconds)
        if seen >= self._free:
            wait_seconds = min(2.0 ** (seen - self._free), _LONGEST_WAIT_SECONDS)
            self._blocked_until[who] = self._clock() + wait_seconds
            self._blocked_until.move_to_end(who)
            while len(self._blocked_until) > _REMEMBERED:
                self._blocked_until.popitem(last=False)
        return seen


def redis_counters(redis: Redis, url: str) -> Storage:
    """Counts that replicas share, over the connections of `redis`: `auth:limits:*`."""
    return RedisStorage(
        url,
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="auth:limits",
        connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] # documented, not annotated
    )
