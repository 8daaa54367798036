"""Search for events: filters, pages and a live view of the stream, and the events of the journal files."""

import heapq
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

from redis.asyncio import Redis

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.segment_files import open_segments, slots_of
from security_common.audit.stream_shipping import STREAM_KEY, redis_text
from security_common.errors import SecurityError

__all__ = [
    "EventFilter",
    "Page",
    "PagingTokenInvalid",
    "StreamEntries",
    "each_event",
    "each_journal_event",
    "entry_line",
    "find_event",
    "find_newest_events",
    "follow_events",
    "parse_entry",
    "read_events",
]

SCAN_ENTRIES = 500
"""The number of entries that are read from the stream with one command."""

PAGE_SCAN_LIMIT = 50_000
"""The number of entries that are read for one page: a filter without matches must not occupy Redis for minutes."""

FOLLOW_BLOCK_MS = 1000

CLOCK_SKEW_SECONDS = 300
"""The id of an entry is the time of its shipping by the clock of Redis. Shipping follows recording, so the id is only
earlier than the event if the clocks differ, by at most this many seconds."""


StreamEntries = Sequence[tuple[bytes | str, dict[bytes | str, bytes | str]]]


class PagingTokenInvalid(SecurityError):
    """The paging token was not returned by this search."""

    error = "invalid_paging_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that an event must meet; unset ones are ignored. `since` is inclusive, `until` is exclusive."""

    user_id: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    tool_name: str | None = None
    outcome: Outcome | None = None
    event_type: str | None = None
    task: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, event: RecordedEvent) -> bool:
        named = ("user_id", "issuer", "client_id", "tool_name", "outcome", "event_type", "task")
        return (
            all(getattr(self, name) is None or getattr(self, name) == getattr(event, name) for name in named)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp < self.until)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and the token of the next page; None if this is the last page."""

    events: tuple[RecordedEvent, ...]
    next_token: str | None


async def read_events(
    redis: Redis,
    criteria: EventFilter | None = None,
    *,
    limit: int = 100,
    after: str | None = None,
    order: Literal["newest", "oldest"] = "newest",
) -> Page:
    """One page of events. `after` is the `next_token` of the page before, in the same order.

    A page can have fewer events than `limit` and still have a token, because the number of entries that are read for
    one page is limited. Raises PagingTokenInvalid and redis.RedisError.
    """
    events: list[RecordedEvent] = []
    entries_read = 0
    position = after
    async for entry_id, event in _scan(redis, criteria or EventFilter(), after=after, order=order):
        if event is not None:
            events.append(event)
        position = entry_id
        entries_read += 1
        if len(events) == limit or entries_read == PAGE_SCAN_LIMIT:
            return Page(tuple(events), position)
    return Page(tuple(events), None)


async def find_newest_events(
    redis: Redis, criteria: EventFilter, *, limit: int, after: str | None = None
) -> tuple[list[RecordedEvent], str | None]:
    """The newest `limit` matching events, however old they are, and the token of the next page.

    Raises PagingTokenInvalid and redis.RedisError.
    """
    events: list[RecordedEvent] = []
    while True:
        page = await read_events(redis, criteria, limit=limit - len(events), after=after)
        events += page.events
        after = page.next_token
        if after is None or len(events) == limit:
            return events, after


async def each_event(redis: Redis, criteria: EventFilter | None = None) -> AsyncIterator[RecordedEvent]:
    """Every matching event, oldest first. A few hundred are in memory at a time. Raises redis.RedisError."""
    async for _, event in _scan(redis, criteria or EventFilter(), after=None, order="oldest"):
        if event is not None:
            yield event


async def find_event(redis: Redis, entry_id: str) -> RecordedEvent | None:
    """The event with this `entry_id`; None if it was trimmed. Raises PagingTokenInvalid and redis.RedisError."""
    entries = cast("StreamEntries", await redis.xrange(STREAM_KEY, _validate_token(entry_id), entry_id))
    return parse_entry(entries[0][1], entry_id) if entries else None


async def follow_events(
    redis: Redis, criteria: EventFilter | None = None, *, after: str | None = None
) -> AsyncGenerator[RecordedEvent]:
    """Matching events after the entry id `after` (None: new events only) as they are recorded, without end."""
    criteria = criteria or EventFilter()
    position = after or "$"
    while True:
        answer = await redis.xread({STREAM_KEY: position}, count=SCAN_ENTRIES, block=FOLLOW_BLOCK_MS)
        for _, entries in cast("Sequence[tuple[bytes, StreamEntries]]", answer or ()):
            for raw_id, members in entries:
                position = redis_text(raw_id)
                event = parse_entry(members, position)
                if event is not None and criteria.matches(event):
                    yield event


async def _scan(
    redis: Redis, criteria: EventFilter, *, after: str | None, order: Literal["newest", "oldest"]
) -> AsyncIterator[tuple[str, RecordedEvent | None]]:
    """The id of each entry in order, with its event if it matches."""
    oldest = _stream_id(criteria.since.timestamp() - CLOCK_SKEW_SECONDS) if criteria.since else "-"
    edge = None if after is None else f"({_validate_token(after)}"
    while True:
        if order == "newest":
            found = await redis.xrevrange(STREAM_KEY, max=edge or "+", min=oldest, count=SCAN_ENTRIES)
        else:
            found = await redis.xrange(STREAM_KEY, min=edge or oldest, max="+", count=SCAN_ENTRIES)
        entries = cast("StreamEntries", found)
        for raw_id, members in entries:
            entry_id = redis_text(raw_id)
            event = parse_entry(members, entry_id)
            is_match = event is not None and criteria.matches(event)
            yield entry_id, event if is_match else None
        if len(entries) < SCAN_ENTRIES:
            return
        edge = f"({redis_text(entries[-1][0])}"


def parse_entry(members: dict[bytes | str, bytes | str], entry_id: str) -> RecordedEvent | None:
    """The event of an entry; None if it is not a valid event. Every Redis user of `audit:*` can write entries."""
    try:
        return RecordedEvent.from_line(entry_line(members), entry_id=entry_id)
    except ValueError:
        return None


def entry_line(members: dict[bytes | str, bytes | str]) -> bytes | str:
    """The line of an entry; empty if it has none."""
    return members.get(b"event") or members.get("event") or b""


def _validate_token(token: str) -> str:
    if re.fullmatch("[1-9][0-9]{0,18}-[0-9]{1,19}", token) is None:
        raise PagingTokenInvalid("the paging token is not valid", hint="use the token that the last page returned")
    return token


def _stream_id(seconds: float) -> str:
    return str(max(0, int(seconds * 1000)))


async def each_journal_event(
    directories: Sequence[Path], criteria: EventFilter | None = None
) -> AsyncIterator[RecordedEvent]:
    """Every matching event of the journals of these services, oldest first. Raises OSError.

    It reads files without yielding to other tasks, so it is for commands and not for a service. Lines that are not
    events are left out; `audit verify` reports them.
    """
    criteria = criteria or EventFilter()
    slots = [slot for directory in directories for slot in slots_of(directory)]
    for event in heapq.merge(*map(_events_of, slots), key=lambda each: each.timestamp):
        if criteria.matches(event):
            yield event


def _events_of(slot: Path) -> Iterator[RecordedEvent]:
    for _, file in open_segments(slot):
        with file:
            for line in file:
                try:
                    yield RecordedEvent.from_line(line)
                except ValueError:
                    continue
