"""Searches the index: pages of events, single events, numbers of events.

Every call opens a connection of its own and reads the newest index. `after` and `entry_id` are the time of an event in
microseconds and its number in the index: `1764547200000000-42`.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from security_common.audit.event_index.database import IndexFiles, reading
from security_common.audit.event_index.index_writer import POSITION_BEFORE_STREAM, Coverage, to_microseconds
from security_common.audit.event_index.stored_texts import TASK_OF_DESCRIPTION, encode_name
from security_common.audit.journal_line import RecordedEvent
from security_common.audit.reading.search import EventFilter, Page, PagingTokenInvalid

__all__ = ["EVENTS_AT_ONCE", "Condition", "IndexReader", "slices_of"]

EVENTS_AT_ONCE = 500

SORTED_EVENTS = 100_000
"""How many events a query may sort in memory: less than 10 MB."""

COMPARED_ROWS = 10_000
"""How many rows of each condition are counted to find the one that matches the fewest events."""

_FILTERED = ("user_id", "issuer", "client_id", "tool_name", "outcome", "event_type")
_INDEXED = ("user_id", "client_id", "tool_name", "outcome", "event_type")

_ENTRY_ID = re.compile("([1-9][0-9]{0,17})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter as SQL. `since` and `until` are times in microseconds; `values` are the parameters of `clauses`."""

    index: str
    since: int
    until: int
    clauses: tuple[str, ...]
    values: tuple[int | str, ...]

    @property
    def table(self) -> str:
        """The table, with the index to use."""
        return f"events INDEXED BY {self.index}"

    @property
    def where(self) -> str:
        return " AND ".join(("time >= ?", "time < ?", *self.clauses))

    @property
    def parameters(self) -> tuple[int | str, ...]:
        return (self.since, self.until, *self.values)


class IndexReader:
    """Every method raises IndexUnavailable. They block, so a service calls them in a thread."""

    def __init__(self, files: IndexFiles) -> None:
        self.files = files

    def position(self) -> str:
        """The id of the last entry of the stream that is in the index."""
        with reading(self.files) as connection:
            return _state(connection, "position") or POSITION_BEFORE_STREAM

    def coverage(self) -> Coverage:
        """What the index contains, as it was measured last."""
        with reading(self.files) as connection:
            text = _state(connection, "coverage")
        return Coverage.parse(text) if text else Coverage()

    def page(
        self,
        criteria: EventFilter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        order: Literal["newest", "oldest"] = "newest",
    ) -> Page:
        """One page of events. `after` is the `next_token` of the page before, in the same order.

        Raises PagingTokenInvalid.
        """
        position = None if after is None else _parse_entry_id(after)
        with reading(self.files) as connection:
            condition = _condition_of(connection, criteria or EventFilter())
            if condition is None:
                return Page((), None)
            rows = _select_lines(connection, condition, limit=limit + 1, position=position, order=order)
        events = tuple(
            RecordedEvent.from_line(line, entry_id=f"{time}-{number}") for number, time, line in rows[:limit]
        )
        return Page(events, events[-1].entry_id if len(rows) > limit else None)

    def each(self, criteria: EventFilter | None = None) -> Iterator[RecordedEvent]:
        """Every matching event, oldest first. A few hundred are in memory at a time."""
        after: str | None = None
        while True:
            page = self.page(criteria, limit=EVENTS_AT_ONCE, after=after, order="oldest")
            yield from page.events
            after = page.next_token
            if after is None:
                return

    def count(self, criteria: EventFilter | None = None) -> int:
        """The number of matching events."""
        with reading(self.files) as connection:
            condition = _condition_of(connection, criteria or EventFilter())
            if condition is None:
                return 0
            query = f"SELECT count(*) FROM {condition.table} WHERE {condition.where}"  # noqa: S608
            (number,) = connection.execute(query, condition.parameters).fetchone()
            return number

    def find(self, entry_id: str) -> RecordedEvent | None:
        """The event with this `entry_id`; None if there is none. Raises PagingTokenInvalid.

        In an index that was built again an event has another number, so its time is enough if it is the only one.
        """
        time, number = _parse_entry_id(entry_id)
        select = "SELECT id, line FROM events JOIN lines USING (id) WHERE time = ?"
        with reading(self.files) as connection:
            lines = dict(connection.execute(select, (time,)).fetchall())
        line = lines.get(number) or (next(iter(lines.values())) if len(lines) == 1 else None)
        return None if line is None else RecordedEvent.from_line(line, entry_id=entry_id)


def _condition_of(connection: sqlite3.Connection, criteria: EventFilter) -> Condition | None:
    """The filter as SQL. None if no event can match, because a name is in no event."""
    since = to_microseconds(criteria.since) if criteria.since else 0
    until = to_microseconds(criteria.until) if criteria.until else 2**62
    numbers: dict[str, int] = {}
    for column in _FILTERED:
        name = getattr(criteria, column)
        if name is None:
            continue
        found = connection.execute("SELECT id FROM names WHERE text = ?", (encode_name(name),)).fetchone()
        if found is None:
            return None
        numbers[column] = found[0]
    clauses = [f"{column} = ?" for column in numbers]
    values: list[int | str] = list(numbers.values())
    if criteria.task is not None:
        clauses.append(f"description IN (SELECT id FROM descriptions WHERE {TASK_OF_DESCRIPTION} = ?)")  # noqa: S608
        values.append(criteria.task)
    index = _best_index(connection, numbers, since, until)
    return Condition(index, since, until, tuple(clauses), tuple(values))


def slices_of(connection: sqlite3.Connection, criteria: EventFilter) -> Iterator[Condition]:
    """The filter in consecutive parts of its period, each with so few events that they can be sorted in memory."""
    rest = _condition_of(connection, criteria)
    while rest is not None:
        query = f"SELECT time FROM {rest.table} WHERE {rest.where} ORDER BY time LIMIT 1 OFFSET {SORTED_EVENTS}"  # noqa: S608
        found: tuple[int] | None = connection.execute(query, rest.parameters).fetchone()
        if found is None:
            yield rest
            return
        end = max(found[0], rest.since + 1)  # events of one microsecond stay together
        yield replace(rest, until=end)
        rest = replace(rest, since=end)


def _best_index(connection: sqlite3.Connection, numbers: dict[str, int], since: int, until: int) -> str:
    """The index whose condition matches the fewest events. Without statistics SQLite cannot choose it."""
    candidates = [column for column in numbers if column in _INDEXED]
    if not candidates:
        return "events_by_time"
    if len(candidates) == 1:
        return f"events_by_{candidates[0]}"
    matches: dict[str, int] = {}
    for column in candidates:
        query = (
            f"SELECT count(*) FROM (SELECT 1 FROM events INDEXED BY events_by_{column} "  # noqa: S608
            f"WHERE {column} = ? AND time >= ? AND time < ? LIMIT {COMPARED_ROWS})"
        )
        (matches[column],) = connection.execute(query, (numbers[column], since, until)).fetchone()
    return f"events_by_{min(candidates, key=lambda column: matches[column])}"


def _select_lines(
    connection: sqlite3.Connection,
    condition: Condition,
    *,
    limit: int,
    position: tuple[int, int] | None,
    order: Literal["newest", "oldest"],
) -> Sequence[tuple[int, int, bytes]]:
    """Number, time and line of each event, in order of time and number."""
    where, parameters = condition.where, condition.parameters
    direction, comparison = ("DESC", "<") if order == "newest" else ("ASC", ">")
    if position is not None:
        time, number = position
        where += f" AND time {comparison}= ? AND (time {comparison} ? OR id {comparison} ?)"
        parameters = (*parameters, time, time, number)
    query = (
        f"SELECT id, time, (SELECT line FROM lines WHERE lines.id = events.id) FROM {condition.table} "  # noqa: S608
        f"WHERE {where} ORDER BY time {direction}, id {direction} LIMIT ?"
    )
    return connection.execute(query, (*parameters, limit)).fetchall()


def _parse_entry_id(entry_id: str) -> tuple[int, int]:
    match = _ENTRY_ID.fullmatch(entry_id)
    if match is None:
        raise PagingTokenInvalid("the paging token is not valid", hint="use the token that the last page returned")
    return int(match[1]), int(match[2])


def _state(connection: sqlite3.Connection, name: str) -> str | None:
    found = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return found[0] if found else None
