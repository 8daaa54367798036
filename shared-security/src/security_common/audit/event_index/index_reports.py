"""Reports from the index: SQLite counts equal events, and the rules of the reports are applied to each count."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

from security_common.audit.event import AuditEvent
from security_common.audit.event_index.database import IndexFiles, reading
from security_common.audit.event_index.index_reader import Condition, IndexReader, slices_of
from security_common.audit.event_index.index_writer import to_microseconds, to_time
from security_common.audit.event_index.stored_texts import StoredDescriptions, StoredNames, parse_description, text_of
from security_common.audit.reading.access_review import DOWNLOAD, Access, AccessReview, Month, identifier_of
from security_common.audit.reading.report import SecurityReport
from security_common.audit.reading.search import EventFilter

__all__ = ["EventCount", "count_by_time", "report_access", "report_security"]

_QUARTER = timedelta(minutes=15) // timedelta(microseconds=1)
"""The usual hours begin and end at a full hour, and the offset of every time zone is a multiple of a quarter of one."""


@dataclass(frozen=True, slots=True)
class EventCount:
    """How many equal events there are in one part of a period. The user of `event` is unknown."""

    event: AuditEvent
    part: int
    count: int


def report_security(files: IndexFiles, criteria: EventFilter | None = None) -> SecurityReport:
    """The security report of the matching events. Raises IndexUnavailable."""
    report = SecurityReport()
    with reading(files) as connection:
        for condition in slices_of(connection, criteria or EventFilter()):
            for description, count in _grouped(connection, condition, "description", "descriptions", "count(*)"):
                report.count(parse_description(description), count)
            for user_id, count in _grouped(connection, condition, "user_id", "names", "count(*)"):
                report.count_user(text_of(user_id), count)
            spans = _grouped(connection, condition, "journal", "names", "min(seq), max(seq), min(time), max(time)")
            for journal_id, first_seq, last_seq, first_time, last_time in spans:
                report.extend_journal(text_of(journal_id), first_seq, last_seq)
                report.extend_period(to_time(first_time), to_time(last_time))
    return report


def count_by_time(files: IndexFiles, criteria: EventFilter, *, parts: int) -> list[EventCount]:
    """The numbers of equal events in equal parts of a period; `criteria` has its beginning and its end.

    There may be several numbers for the same description and part; they have to be added.

    Raises IndexUnavailable, and ValueError without a beginning or an end.
    """
    if criteria.since is None or criteria.until is None:
        raise ValueError("the period has no beginning or no end")
    since = to_microseconds(criteria.since)
    length = max(1, (to_microseconds(criteria.until) - since) // parts)
    counts: list[EventCount] = []
    with reading(files) as connection:
        descriptions = StoredDescriptions(connection)
        for condition in slices_of(connection, criteria):
            rows = connection.execute(
                f"SELECT description, min(? - 1, (time - ?) / ?), count(*) FROM {condition.table} "  # noqa: S608
                f"WHERE {condition.where} GROUP BY 1, 2",
                (parts, since, length, *condition.parameters),
            )
            counts += [EventCount(descriptions[description], part, number) for description, part, number in rows]
    return counts


def report_access(files: IndexFiles, month: Month, *, begins: datetime | None = None) -> AccessReview:
    """The review of access records of a month. `begins` is as in AccessReview. Raises IndexUnavailable."""
    review = AccessReview(month, begins)
    criteria = EventFilter(since=month.since, until=month.until)
    unusual = json.dumps(_unusual_quarters(review))
    with reading(files) as connection:
        names, descriptions = StoredNames(connection), StoredDescriptions(connection)
        for condition in slices_of(connection, criteria):
            for description, user_id, address, has_subject, is_unusual, count in connection.execute(
                f"SELECT description, user_id, source_address, subject_reference IS NOT NULL, "  # noqa: S608
                f"time / {_QUARTER} IN (SELECT value FROM json_each(?)), count(*) "
                f"FROM {condition.table} WHERE {condition.where} GROUP BY 1, 2, 3, 4, 5",
                (unusual, *condition.parameters),
            ):
                event = descriptions[description]
                access = Access(event, names[user_id], names[address], bool(has_subject), bool(is_unusual))
                review.count(access, count)
            for user_id, client_id, subject in connection.execute(
                f"SELECT DISTINCT user_id, client_id, subject_reference FROM {condition.table} "  # noqa: S608
                f"WHERE {condition.where} AND subject_reference IS NOT NULL",
                condition.parameters,
            ):
                review.add_subject(identifier_of(names[user_id], names[client_id]), subject)
    review.downloads += IndexReader(files).each(replace(criteria, task=DOWNLOAD))
    return review


def _unusual_quarters(review: AccessReview) -> list[int]:
    """The quarters of an hour in the month that are outside of the usual hours, as numbers since the epoch."""
    first, end = (to_microseconds(moment) // _QUARTER for moment in (review.month.since, review.month.until))
    return [number for number in range(first, end) if review.is_unusual(to_time(number * _QUARTER))]


def _grouped(
    connection: Connection, condition: Condition, column: str, table: str, values: str
) -> Iterator[tuple[Any, ...]]:
    """The stored text of each value of `column`, and the aggregated `values` of its events."""
    query = (
        f"SELECT text, found.* FROM (SELECT {column} AS id, {values} FROM {condition.table} "  # noqa: S608
        f"WHERE {condition.where} GROUP BY {column}) AS found JOIN {table} USING (id)"
    )
    for text, _, *rest in connection.execute(query, condition.parameters):
        yield text, *rest
