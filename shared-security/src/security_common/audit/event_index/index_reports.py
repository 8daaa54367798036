"""Reports from the index: SQLite counts equal events, and the rules of the reports are applied to each count."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

from security_common.audit.event import AuditEvent
from security_common.audit.event_index.database import IndexFiles, reading
from security_common.audit.event_index.index_reader import Condition, IndexReader, condition_of
from security_common.audit.event_index.index_writer import to_microseconds, to_time
from security_common.audit.event_index.stored_texts import StoredDescriptions, StoredNames, parse_description, text_of
from security_common.audit.reading.access_review import DOWNLOAD, Access, AccessReview, Month
from security_common.audit.reading.report import SecurityReport
from security_common.audit.reading.search import EventFilter

__all__ = ["EventCount", "count_by_time", "report_access", "report_security"]

QUARTER_HOUR = timedelta(minutes=15)
"""The usual hours begin and end at a full hour, and the offset of every time zone is a multiple of this."""


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
        condition = condition_of(connection, criteria or EventFilter())
        if condition is None:
            return report
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

    Raises IndexUnavailable, and ValueError without a beginning or an end.
    """
    if criteria.since is None or criteria.until is None:
        raise ValueError("the period has no beginning or no end")
    since = to_microseconds(criteria.since)
    length = max(1, (to_microseconds(criteria.until) - since) // parts)
    with reading(files) as connection:
        condition = condition_of(connection, criteria)
        if condition is None:
            return []
        query = (
            "SELECT text, part, number FROM ("  # noqa: S608
            "SELECT description AS id, min(? - 1, (time - ?) / ?) AS part, count(*) AS number "
            f"FROM {condition.table} WHERE {condition.where} GROUP BY 1, 2) JOIN descriptions USING (id)"
        )
        rows = connection.execute(query, (parts, since, length, *condition.parameters))
        return [EventCount(parse_description(text), part, number) for text, part, number in rows]


def report_access(files: IndexFiles, month: Month, *, begins: datetime | None = None) -> AccessReview:
    """The review of access records of a month. `begins` is as in AccessReview. Raises IndexUnavailable."""
    review = AccessReview(month, begins)
    criteria = EventFilter(since=month.since, until=month.until)
    quarter = QUARTER_HOUR // timedelta(microseconds=1)
    with reading(files) as connection:
        condition = condition_of(connection, criteria)
        if condition is None:
            return review
        query = (
            f"SELECT description, user_id, source_address, subject_reference, time / {quarter}, count(*) "  # noqa: S608
            f"FROM {condition.table} WHERE {condition.where} GROUP BY 1, 2, 3, 4, 5"
        )
        names, descriptions = StoredNames(connection), StoredDescriptions(connection)
        unusual: dict[int, bool] = {}
        for description, user_id, address, subject, number, count in connection.execute(query, condition.parameters):
            if number not in unusual:
                unusual[number] = review.is_unusual(to_time(number * quarter))
            access = Access(descriptions[description], names[user_id], names[address], names[subject], unusual[number])
            review.count(access, count)
    review.downloads += IndexReader(files).each(replace(criteria, task=DOWNLOAD))
    return review


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
