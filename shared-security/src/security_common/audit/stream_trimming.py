"""Keeps the Redis stream below its limits of age and memory. The journal files keep the events for longer.

    every hour                                          ──▶ trim.lua: entries past their age that every group has read
    every 2,000 entries, every minute, Redis is full    ──▶ MEMORY USAGE audit:events ──▶ bytes for each entry
                                                        ──▶ XTRIM MAXLEN ~ entries that fit into the limit

A limit of age alone is not enough: a busy service fills Redis long before an entry is old, and a full Redis refuses the
writes of all services. The limit of memory therefore does not wait for consumer groups. A group that is too slow misses
entries; this is logged, and the entries are in the journals.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis

from security_common.audit.stream_shipping import STREAM_KEY, redis_text

__all__ = ["StreamLimit", "trim_stream"]

CHECK_INTERVAL_ENTRIES = 2_000
"""The stream may grow by this number of entries between two checks: about 1.2 MB, at most 12 MB."""

SAMPLED_NODES = 100
"""MEMORY USAGE measures this number of nodes of the stream and extrapolates the rest."""

TRIM_TO = 0.95
"""The part of the limit that is kept, so that not every check has to trim."""

_TRIM_SCRIPT = files("security_common.audit").joinpath("trim.lua").read_text(encoding="ascii")

logger = logging.getLogger(__name__)


async def trim_stream(redis: Redis, *, keep: timedelta, now: datetime) -> int:
    """Removes entries that are older than `keep` and that every consumer group has acknowledged; returns how many.

    Raises redis.RedisError.
    """
    oldest_ms = int((now - keep).timestamp() * 1000)
    trim = redis.register_script(_TRIM_SCRIPT)
    return int(await trim(keys=[STREAM_KEY], args=[oldest_ms]))


class StreamLimit:
    """Trims the stream to `max_bytes`. There is one for each journal, and its shippers report what they append."""

    def __init__(self, redis: Redis, max_bytes: int) -> None:
        self._redis = redis
        self._max_bytes = max_bytes
        self._appended = 0
        self._warned_groups: set[str] = set()

    async def count(self, entries: int) -> None:
        """Counts appended entries and trims after every 2,000. Raises redis.RedisError."""
        self._appended += entries
        if self._appended >= CHECK_INTERVAL_ENTRIES:
            await self.trim()

    async def trim(self) -> int:
        """Removes the oldest entries until the stream fits into the limit; returns how many. Raises redis.RedisError.

        XTRIM is allowed when Redis has reached `maxmemory`; XADD is not.
        """
        self._appended = 0
        removed = 0
        while True:
            used_bytes = await self._redis.memory_usage(STREAM_KEY, samples=SAMPLED_NODES)
            if used_bytes is None or used_bytes <= self._max_bytes:
                break
            length = await self._redis.xlen(STREAM_KEY)
            fitting = int(length * self._max_bytes * TRIM_TO / used_bytes)
            removed_now = await self._redis.xtrim(STREAM_KEY, maxlen=fitting, approximate=True)
            removed += removed_now
            if removed_now == 0:
                break
        if removed:
            logger.debug("audit_stream_trimmed entries=%d", removed)
            await self._warn_of_slow_groups()
        return removed

    async def _warn_of_slow_groups(self) -> None:
        oldest = cast("Sequence[tuple[bytes | str, object]]", await self._redis.xrange(STREAM_KEY, count=1))
        if not oldest:
            return
        first_id = _parse_id(redis_text(oldest[0][0]))
        for group in cast("Sequence[Mapping[str, Any]]", await self._redis.xinfo_groups(STREAM_KEY)):
            name = redis_text(group["name"])
            if _parse_id(redis_text(group["last-delivered-id"])) >= first_id:
                self._warned_groups.discard(name)
            elif name not in self._warned_groups:
                self._warned_groups.add(name)
                logger.warning(
                    "audit_stream_group_too_slow group=%s: entries were trimmed before the group read them; they are "
                    "in the journals",
                    name,
                )


def _parse_id(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
