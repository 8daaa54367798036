"""Where the audit commands read events: from the index of the audit trail, the Redis stream, or the journal files.

| source | when | what it has |
|---|---|---|
| index | by default, if there is one below SECURITY_AUDIT_DIR | the whole retention |
| stream | --stream, or if there is no index | the newest events |
| journals | --journals | the events of the services whose journals are here |
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

from cyclopts import Parameter
from redis.asyncio import Redis

from security_common.audit import RecordedEvent
from security_common.audit.event_index import IndexFiles, IndexReader
from security_common.audit.event_index.index_feed import is_at_or_after, newest_entry_id
from security_common.audit.event_index.index_reports import report_access, report_security
from security_common.audit.event_index.searchable_trail import with_coverage
from security_common.audit.reading.access_review import AccessReview, Month, review_access
from security_common.audit.reading.report import SecurityReport, security_report
from security_common.audit.reading.search import EventFilter, each_event, each_journal_event, find_newest_events
from security_common.audit.reading.trail_state import TrailState, oldest_event, read_trail_state
from security_common.cli.audit_source import RedisOptions, service_directories
from security_common.redis_errors import RedisUnavailable
from security_common.settings import SecuritySettings

__all__ = ["EventSource", "FromJournals", "FromStream", "open_source", "open_trail"]

CATCH_UP_SECONDS = 2.0
POLL_SECONDS = 0.1

FromJournals = Annotated[
    bool,
    Parameter(
        name="--journals",
        negative="",
        help="read the journal files below SECURITY_AUDIT_DIR instead of the index or the stream",
    ),
]
FromStream = Annotated[
    bool,
    Parameter(
        name="--stream", negative="", help="read the stream in Redis, also if there is an index of the audit trail"
    ),
]


class EventSource(Protocol):
    """Matching events and reports of them."""

    def events(self, criteria: EventFilter) -> AsyncIterator[RecordedEvent]:
        """Every matching event, oldest first."""
        ...

    async def count(self, criteria: EventFilter) -> int | None:
        """The number of matching events; None if it takes as long as reading them."""
        ...

    async def report(self, criteria: EventFilter) -> SecurityReport: ...

    async def review(self, month: Month) -> AccessReview: ...

    async def note(self, since: datetime | None) -> str:
        """What is missing of a period that begins at `since`; empty if nothing is."""
        ...


class TrailSource(EventSource, Protocol):
    """A source with pages."""

    async def newest(
        self, criteria: EventFilter, *, limit: int, after: str | None
    ) -> tuple[list[RecordedEvent], str | None]:
        """The newest `limit` matching events, and the token of the next page."""
        ...

    def freshness_note(self) -> str:
        """Whether newer events are elsewhere; empty if they are not."""
        ...


class IndexSource:
    """The index. `is_behind` is true if it does not have the newest events of the stream."""

    def __init__(self, reader: IndexReader, state: TrailState | None, *, is_behind: bool) -> None:
        self._reader = reader
        self._is_behind = is_behind
        self._coverage = reader.coverage()
        self._state = with_coverage(state, self._coverage) if state else None

    async def events(self, criteria: EventFilter) -> AsyncGenerator[RecordedEvent]:
        for event in self._reader.each(criteria):
            yield event

    async def count(self, criteria: EventFilter) -> int | None:
        return self._reader.count(criteria)

    async def report(self, criteria: EventFilter) -> SecurityReport:
        report = report_security(self._reader.files, criteria)
        report.trail = self._state
        return report

    async def review(self, month: Month) -> AccessReview:
        return report_access(self._reader.files, month, begins=self._coverage.complete_since)

    async def newest(
        self, criteria: EventFilter, *, limit: int, after: str | None
    ) -> tuple[list[RecordedEvent], str | None]:
        page = self._reader.page(criteria, limit=limit, after=after)
        return list(page.events), page.next_token

    def freshness_note(self) -> str:
        if self._is_behind:
            return "the index does not have the newest events; the stream has them: --stream"
        return "the index is being built: older events are missing" if self._coverage.filling else ""

    async def note(self, since: datetime | None) -> str:
        note = self.freshness_note()
        if note:
            return note
        complete_since = self._coverage.complete_since
        if complete_since is not None and (since is None or complete_since > since):
            return f"the index is complete since {complete_since:%Y-%m-%d %H:%M:%S} UTC; older events: --journals"
        return ""


class StreamSource:
    """The stream, with the newest events."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def events(self, criteria: EventFilter) -> AsyncIterator[RecordedEvent]:
        return each_event(self._redis, criteria)

    async def count(self, criteria: EventFilter) -> int | None:
        del criteria
        return None

    async def report(self, criteria: EventFilter) -> SecurityReport:
        report = await security_report(self.events(criteria))
        report.trail = await read_trail_state(self._redis)
        return report

    async def review(self, month: Month) -> AccessReview:
        events = self.events(EventFilter(since=month.since, until=month.until))
        return await review_access(events, month, begins=await self._begins(month.since))

    async def newest(
        self, criteria: EventFilter, *, limit: int, after: str | None
    ) -> tuple[list[RecordedEvent], str | None]:
        return await find_newest_events(self._redis, criteria, limit=limit, after=after)

    def freshness_note(self) -> str:
        return ""

    async def note(self, since: datetime | None) -> str:
        begins = await self._begins(since)
        return f"the stream begins at {begins:%Y-%m-%d %H:%M:%S} UTC; older events: --journals" if begins else ""

    async def _begins(self, since: datetime | None) -> datetime | None:
        """The time of the first event, if older ones were trimmed and the period begins before it."""
        oldest = await oldest_event(self._redis)
        if oldest is None or oldest.seq == 1 or (since is not None and oldest.timestamp <= since):
            return None
        return oldest.timestamp


class JournalSource:
    """The journal files of the services."""

    def __init__(self, directories: list[Path]) -> None:
        self._directories = directories

    def events(self, criteria: EventFilter) -> AsyncIterator[RecordedEvent]:
        return each_journal_event(self._directories, criteria)

    async def count(self, criteria: EventFilter) -> int | None:
        del criteria
        return None

    async def report(self, criteria: EventFilter) -> SecurityReport:
        return await security_report(self.events(criteria))

    async def review(self, month: Month) -> AccessReview:
        return await review_access(self.events(EventFilter(since=month.since, until=month.until)), month)

    async def note(self, since: datetime | None) -> str:
        del since
        return ""


@asynccontextmanager
async def open_source(options: RedisOptions | None, *, journals: bool, stream: bool) -> AsyncGenerator[EventSource]:
    """Opens the journals, or else the index or the stream as `open_trail`. Raises ServiceUnknown, RedisUnavailable."""
    if journals:
        yield JournalSource(service_directories(SecuritySettings(), None))
        return
    async with open_trail(options, stream=stream) as trail:
        yield trail


@asynccontextmanager
async def open_trail(options: RedisOptions | None, *, stream: bool) -> AsyncGenerator[TrailSource]:
    """Opens the index, or the stream if there is no index or `stream` is true. Raises RedisUnavailable."""
    reader = None if stream else _find_index(SecuritySettings())
    options = options or RedisOptions()
    if reader is not None:
        is_behind, state = await _compare_with_stream(options, reader)
        yield IndexSource(reader, state, is_behind=is_behind)
        return
    async with options.connect() as redis:
        yield StreamSource(redis)


def _find_index(settings: SecuritySettings) -> IndexReader | None:
    """The index of the service that has one; only the resource service does."""
    for directory in sorted((settings.audit_index_dir or settings.audit_dir).glob("*/index")):
        files = IndexFiles(directory)
        if files.newest() is not None:
            return IndexReader(files)
    return None


async def _compare_with_stream(options: RedisOptions, reader: IndexReader) -> tuple[bool, TrailState | None]:
    """Whether the index stays behind the stream, and the state of the stream. Without Redis, neither is known."""
    try:
        async with options.connect() as redis:
            newest = await newest_entry_id(redis)
            is_behind = newest is not None and not await _has_in_time(reader, newest)
            return is_behind, await read_trail_state(redis)
    except RedisUnavailable:
        return False, None


async def _has_in_time(reader: IndexReader, entry_id: str) -> bool:
    """Whether the index has this entry now or within two seconds."""
    deadline = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
    while True:
        if is_at_or_after(reader.position(), entry_id):
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
