"""The audit trail of a service, read from its index without blocking the event loop.

A call first waits until the index has what is in the stream now, for at most a second. So a caller finds the events
that were in the stream before the call, also if another process of the service feeds the index.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ParamSpec, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.audit.event_index.database import IndexUnavailable, index_files
from security_common.audit.event_index.index_feed import IndexFeed, is_at_or_after, newest_entry_id
from security_common.audit.event_index.index_reader import EVENTS_AT_ONCE, IndexReader
from security_common.audit.event_index.index_reports import EventCount, count_by_time, report_access, report_security
from security_common.audit.event_index.index_writer import POSITION_BEFORE_STREAM, Coverage
from security_common.audit.journal_line import RecordedEvent
from security_common.audit.reading.access_review import AccessReview, Month
from security_common.audit.reading.report import SecurityReport
from security_common.audit.reading.search import EventFilter, Page
from security_common.audit.reading.trail_state import TrailState, read_trail_state
from security_common.settings import SecuritySettings

__all__ = ["SearchableTrail", "with_coverage"]

CATCH_UP_SECONDS = 1.0
POLL_SECONDS = 0.05
READING_THREADS = 2

P = ParamSpec("P")
T = TypeVar("T")


def with_coverage(state: TrailState, coverage: Coverage) -> TrailState:
    """The state of the stream, with the time since which the index is complete as its beginning."""
    since = coverage.complete_since
    return replace(state, begins=since or state.begins, trimmed=since is not None)


class SearchableTrail:
    """Searches and reports. Every method that reads the index raises IndexUnavailable."""

    def __init__(self, redis: Redis, settings: SecuritySettings, *, service: str) -> None:
        files = index_files(settings, service=service)
        self.feed = IndexFeed(files, redis, settings)
        self._reader = IndexReader(files)
        self._redis = redis
        self._threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="audit-search")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Feeds the index, unless another process of the service does. At the end it has what the stream has then."""
        try:
            async with self.feed.running():
                try:
                    yield
                finally:
                    await self._catch_up()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def page(self, criteria: EventFilter | None = None, *, limit: int = 100, after: str | None = None) -> Page:
        """One page of events, newest first, as `IndexReader.page`. Raises PagingTokenInvalid."""
        await self._catch_up()
        return await self._run(self._reader.page, criteria, limit=limit, after=after)

    async def find(self, entry_id: str) -> RecordedEvent | None:
        """The event with this `entry_id`; None if there is none. Raises PagingTokenInvalid."""
        return await self._run(self._reader.find, entry_id)

    async def count(self, criteria: EventFilter | None = None) -> int:
        """The number of matching events."""
        await self._catch_up()
        return await self._run(self._reader.count, criteria)

    async def each(self, criteria: EventFilter | None = None) -> AsyncIterator[RecordedEvent]:
        """Every matching event, oldest first. A few hundred are in memory at a time."""
        await self._catch_up()
        after: str | None = None
        while True:
            page = await self._run(self._reader.page, criteria, limit=EVENTS_AT_ONCE, after=after, order="oldest")
            for event in page.events:
                yield event
            after = page.next_token
            if after is None:
                return

    async def count_by_time(self, criteria: EventFilter, *, parts: int) -> list[EventCount]:
        """The numbers of equal events in equal parts of a period."""
        await self._catch_up()
        return await self._run(count_by_time, self._reader.files, criteria, parts=parts)

    async def security_report(self, criteria: EventFilter | None = None) -> SecurityReport:
        """The security report of the matching events."""
        await self._catch_up()
        return await self._run(report_security, self._reader.files, criteria)

    async def access_review(self, month: Month) -> AccessReview:
        """The review of access records (접속기록 점검) of a month."""
        await self._catch_up()
        begins = (await self.coverage()).complete_since
        return await self._run(report_access, self._reader.files, month, begins=begins)

    async def coverage(self) -> Coverage:
        """What the index contains."""
        return await self._run(self._reader.coverage)

    async def state(self) -> TrailState:
        """The state of the stream, and since when the index is complete. Raises redis.RedisError."""
        return with_coverage(await read_trail_state(self._redis), await self.coverage())

    async def _catch_up(self) -> None:
        """Without Redis, or when the index is far behind, what it has is shown."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                newest = await newest_entry_id(self._redis) or POSITION_BEFORE_STREAM
                if self.feed.position is not None:
                    await self.feed.wait_for(newest)
                else:
                    await self._wait_for_other_process(newest)
        except (RedisError, OSError, TimeoutError):
            return

    async def _wait_for_other_process(self, entry_id: str) -> None:
        while True:
            try:
                if is_at_or_after(await self._run(self._reader.position), entry_id):
                    return
            except IndexUnavailable:
                pass  # the other process has not created it yet
            await asyncio.sleep(POLL_SECONDS)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(function, *args, **kwargs))
