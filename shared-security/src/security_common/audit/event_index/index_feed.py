"""Feeds the index from the stream. One process of a service does this, and all of its processes read the index.

    stream ──entries after the position──▶ IndexWriter (one thread) ──▶ events and the new position, one transaction
    journal files ──missing lines────────▶      │
                                                └─▶ every hour: events past retention are removed

An index that is damaged, or that another release wrote, is built again: first from the stream, then from the journals.
While there is much to do, the writer thread rests as long as it has worked, so that it takes at most half of a core.
"""

import asyncio
import functools
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.audit.event_index.database import IndexFiles, is_damage
from security_common.audit.event_index.index_writer import POSITION_BEFORE_STREAM, Coverage, IndexWriter
from security_common.audit.event_index.journal_lines import missing_lines
from security_common.audit.reading.search import StreamEntries, entry_line
from security_common.audit.stream_shipping import CURSORS_KEY, STREAM_KEY, redis_text
from security_common.settings import SecuritySettings
from security_common.task_cancellation import cancel_tasks

__all__ = ["IndexFeed", "is_at_or_after", "newest_entry_id"]

POLL_SECONDS = 0.5
RETRY_SECONDS = 1.0
CLAIM_SECONDS = 5.0
LINES_AT_ONCE = 200
"""The lines of one transaction: a few milliseconds of work."""

STREAM_CHECK_SECONDS = 10.0
COVERAGE_SECONDS = 300.0
RETENTION_SECONDS = 3600.0
REMOVED_AT_ONCE = 500
UNUSED_TEXTS_SECONDS = 24 * 3600.0
"""Finding names that no event has any more reads the whole index."""

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class IndexFeed:
    """Feeds an index as long as the block of `running` runs, unless another process does. `clock` returns seconds."""

    def __init__(
        self, files: IndexFiles, redis: Redis, settings: SecuritySettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._redis = redis
        self._audit_directory = settings.audit_dir
        self._keep = timedelta(days=settings.audit_retention_days)
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit-index")
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._current_at = clock()
        self._due_at: dict[str, float] = {}
        self._has_unused_texts = False
        self.position: str | None = None
        """The id of the last entry that is in the index; None as long as this process does not feed it."""
        self.coverage = Coverage()

    @property
    def lag_seconds(self) -> float:
        """Seconds since the index had every entry of the stream; not a number if another process feeds it."""
        return float("nan") if self.position is None else max(0.0, self._clock() - self._current_at)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Feeds the index in the background."""
        task = asyncio.create_task(self._keep_feeding(), name="audit-index")
        try:
            yield
        finally:
            await cancel_tasks(task)
            await asyncio.to_thread(self._thread.shutdown)

    async def wait_for(self, entry_id: str) -> None:
        """Returns when the index has this entry. New entries are read at once."""
        self._wake.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self.position is not None and is_at_or_after(self.position, entry_id))

    async def _keep_feeding(self) -> None:
        while True:
            try:
                lock = self._files.claim()
                if lock is not None:
                    try:
                        await self._feed_claimed()
                    finally:
                        os.close(lock)
            except OSError as error:
                logger.warning("audit_index_unavailable cause=%s: check the disk of the audit volume", error.strerror)
            await asyncio.sleep(CLAIM_SECONDS)

    async def _feed_claimed(self) -> None:
        """Feeds the index until the task is cancelled. Raises OSError."""
        build_again = self._files.newest() is None
        while True:
            path = self._files.next() if build_again else self._files.newest() or self._files.next()
            build_again = False
            self._due_at.clear()
            try:
                await self._feed_one(functools.partial(IndexWriter, path))
                build_again = True
                logger.warning("audit_index_rebuilt cause=it was requested")
            except sqlite3.Error as error:
                build_again = is_damage(error)
                outcome = "it is built again" if build_again else "it is tried again"
                logger.warning("audit_index_failed cause=%s: %s", error, outcome)
            except Exception:
                # An unexpected error must not end the feed.
                logger.exception("audit_index_failed")
            await asyncio.sleep(RETRY_SECONDS)

    async def _feed_one(self, open_writer: Callable[[], IndexWriter]) -> None:
        """Feeds one index. Returns when a rebuild is requested. Raises sqlite3.Error and OSError."""
        writer = await self._run(open_writer)
        try:
            self.position = writer.position
            await self._run(self._files.remove_all_but, writer.path)
            missing: Iterator[list[bytes]] | None = None
            has_gap = True  # every start looks for missing lines
            while not self._files.take_rebuild_request():
                started_at = time.monotonic()
                try:
                    added, gap_found = await self._add_new_entries(writer)
                    has_gap = has_gap or gap_found
                    is_current = added < LINES_AT_ONCE
                    if is_current and missing is None and has_gap:
                        missing = missing_lines(
                            writer, self._audit_directory, await self._shipped(), limit=LINES_AT_ONCE
                        )
                        has_gap = False
                    if is_current and missing is not None and not await self._add_missing(writer, missing):
                        missing = None
                        self._due_at.pop("coverage", None)
                    is_done = is_current and missing is None
                    if is_current:
                        is_done &= await self._run_periodic_tasks(writer, filling=missing is not None)
                except RedisError as error:
                    logger.info("audit_index_paused cause=%s", type(error).__name__)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if is_done:
                    await self._wait_for_entries()
                else:
                    await asyncio.sleep(time.monotonic() - started_at)
        finally:
            self.position = None
            self._thread.submit(writer.close)

    async def _add_new_entries(self, writer: IndexWriter) -> tuple[int, bool]:
        """Adds entries after the position. Returns how many there were, and whether lines before them are missing."""
        found = await self._redis.xrange(STREAM_KEY, f"({writer.position}", count=LINES_AT_ONCE)
        entries = cast("StreamEntries", found)
        has_gap = False
        if entries:
            lines = [_as_bytes(entry_line(members)) for _, members in entries]
            position = redis_text(entries[-1][0])
            has_gap = await self._run(writer.add, lines, since=self._oldest_kept(), position=position)
        if len(entries) < LINES_AT_ONCE:
            self._current_at = self._clock()
        self.position = writer.position
        async with self._progress:
            self._progress.notify_all()
        return len(entries), has_gap

    async def _add_missing(self, writer: IndexWriter, missing: Iterator[list[bytes]]) -> bool:
        """Adds some missing lines. Whether there may be more."""
        lines = await self._run(next, missing, None)
        if lines is None:
            return False
        await self._run(writer.add, lines, since=self._oldest_kept())
        return True

    async def _run_periodic_tasks(self, writer: IndexWriter, *, filling: bool) -> bool:
        """Runs what is due. Whether nothing is left to do now."""
        if self._is_due("stream", STREAM_CHECK_SECONDS):
            newest = await newest_entry_id(self._redis)
            if newest is not None and not is_at_or_after(newest, writer.position):
                # Redis was restored, and its clock is behind: the new entries have lower ids.
                await self._run(writer.add, [], since=self._oldest_kept(), position=POSITION_BEFORE_STREAM)
        removed = 0
        if self._is_due("retention", RETENTION_SECONDS):
            removed = await self._run(writer.remove_before, self._oldest_kept(), limit=REMOVED_AT_ONCE)
            self._has_unused_texts = self._has_unused_texts or removed > 0
        if removed == REMOVED_AT_ONCE:
            del self._due_at["retention"]
            return False
        if self._has_unused_texts and self._is_due("texts", UNUSED_TEXTS_SECONDS):
            await self._run(writer.remove_unused_texts)
            self._has_unused_texts = False
        if self._is_due("coverage", COVERAGE_SECONDS):
            self.coverage = await self._run(writer.measure_coverage, filling=filling)
        return True

    async def _shipped(self) -> Mapping[str, int]:
        answer: Mapping[Any, Any] = await self._redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]
        return {redis_text(name): int(seq) for name, seq in answer.items() if redis_text(seq).isdecimal()}

    async def _wait_for_entries(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _is_due(self, task: str, interval_seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due_at.get(task, now):
            return False
        self._due_at[task] = now + interval_seconds
        return True

    def _oldest_kept(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC) - self._keep

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs the function in the writer thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, functools.partial(function, *args, **kwargs)
        )


async def newest_entry_id(redis: Redis) -> str | None:
    """The id of the newest entry of the stream; None if it is empty. Raises redis.RedisError."""
    entries = cast("StreamEntries", await redis.xrevrange(STREAM_KEY, count=1))
    return redis_text(entries[0][0]) if entries else None


def is_at_or_after(entry_id: str, other_id: str) -> bool:
    """Compares the ids of two entries of the stream: milliseconds and a number."""
    return _parse_id(entry_id) >= _parse_id(other_id)


def _parse_id(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _as_bytes(line: bytes | str) -> bytes:
    return line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
