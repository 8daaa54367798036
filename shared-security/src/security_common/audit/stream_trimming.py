"""Keeps the Redis stream below its share of Redis's memory. The journals on disk are the long record.

    every 2,000 shipped entries, and when Redis is full:  MEMORY USAGE audit:events ──▶ bytes for each entry
                                                          ──▶ XTRIM MAXLEN ~ entries that fit into the limit

Trimming by age alone lets a busy service fill Redis long before anything is old enough, and a full Redis takes the
clients, sessions and records of all services with it. This limit therefore does not wait for consumer groups: a group
that is slower than the limit allows misses entries, which is logged, and finds them in the journals.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis

from security_common.audit.stream_shipping import STREAM_KEY

__all__ = ["StreamLimit", "trim_stream"]

CHECKED_EVERY_ENTRIES = 2_000
"""The stream grows by so many entries between two looks: about 1.2 MB, or 12 MB with every text at its limit."""

SAMPLED_NODES = 100
"""Nodes of the stream that MEMORY USAGE measures; the rest is extrapolated."""

TRIM_TO = 0.95
"""Part of the limit that is kept, so that not every look finds something to trim."""

_TRIM = files("security_common.audit").joinpath("trim.lua").read_text(encoding="ascii")

logger = logging.getLogger(__name__)


async def trim_stream(redis: Redis, *, keep: timedelta, now: datetime) -> int:
    """Drops stream entries older than `keep` that every consumer group has acknowledged; returns how many."""
    oldest_ms = int((now - keep).timestamp() * 1000)
    trim = redis.register_script(_TRIM)
    return int(await trim(keys=[STREAM_KEY], args=[oldest_ms]))


class StreamLimit:
    """Trims the stream to `max_bytes`. Made once for each journal and told of what its shippers append."""

    def __init__(self, redis: Redis, max_bytes: int) -> None:
        self._redis = redis
        self._max_bytes = max_bytes
        self._appended = 0
        self._warned: set[str] = set()

    async def count(self, entries: int) -> None:
        """Notes entries that were appended, and trims when it is time to. Raises redis.RedisError."""
        self._appended += entries
        if self._appended >= CHECKED_EVERY_ENTRIES:
            await self.trim()

    async def trim(self) -> int:
        """Removes the oldest entries until the rest fits; returns how many went. Raises redis.RedisError.

        XTRIM is allowed when Redis has reached `maxmemory`, XADD is not.
        """
        self._appended, removed = 0, 0
        while True:
            used_bytes = await self._redis.memory_usage(STREAM_KEY, samples=SAMPLED_NODES)
            if used_bytes is None or used_bytes <= self._max_bytes:
                break
            length = await self._redis.xlen(STREAM_KEY)
            fitting = int(length * self._max_bytes * TRIM_TO / used_bytes)
            gone = await self._redis.xtrim(STREAM_KEY, maxlen=fitting, approximate=True)
            removed += gone
            if gone == 0:
                break
        if removed:
            logger.debug("audit stream: %d entries trimmed, they stay in the journals", removed)
            await self._warn_of_slow_groups()
        return removed

    async def _warn_of_slow_groups(self) -> None:
        oldest = cast("Sequence[tuple[bytes | str, object]]", await self._redis.xrange(STREAM_KEY, count=1))
        if not oldest:
            return
        first = _order(_text(oldest[0][0]))
        for group in cast("Sequence[Mapping[str, Any]]", await self._redis.xinfo_groups(STREAM_KEY)):
            name = _text(group["name"])
            if _order(_text(group["last-delivered-id"])) >= first:
                self._warned.discard(name)
            elif name not in self._warned:
                self._warned.add(name)
                logger.warning(
                    "audit stream: the consumer group %s is so far behind that entries were trimmed before it read "
                    "them; they are in the journals",
                    name,
                )


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
