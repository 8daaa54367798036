"""Writes events into the index: each line of a journal once, together with the position in the stream that was read.

The lines of one call and the new position are one transaction. After a crash the index continues where it was: lines
that are delivered again are ignored, because a journal has one line for each number.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from security_common.audit.event_index.database import open_for_writing
from security_common.audit.event_index.stored_texts import StoredTexts, encode_name
from security_common.audit.journal_line import RecordedEvent

__all__ = ["Coverage", "IndexWriter", "to_microseconds", "to_time"]

POSITION_BEFORE_STREAM = "0-0"
MAX_INTEGER = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_INSERT_EVENT = """
INSERT OR IGNORE INTO events (time, journal, seq, description, event_type, outcome, user_id, issuer, client_id,
    tool_name, source_address, subject_reference)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_HOLES = """
SELECT seq + 1, (SELECT min(seq) FROM events AS later WHERE journal = each.journal AND seq > each.seq) - 1
FROM events AS each WHERE journal = ?
AND NOT EXISTS (SELECT 1 FROM events AS next WHERE next.journal = each.journal AND next.seq = each.seq + 1)
AND seq < (SELECT max(seq) FROM events WHERE journal = each.journal)
"""

_NAMED = (
    "journal",
    "event_type",
    "outcome",
    "user_id",
    "issuer",
    "client_id",
    "tool_name",
    "source_address",
    "subject_reference",
)
_USED_NAMES = " UNION ".join(f"SELECT {column} FROM events WHERE {column} IS NOT NULL" for column in _NAMED)  # noqa: S608

_JOURNALS = "SELECT journal, min(seq), max(seq), count(*) FROM events GROUP BY journal"


def to_microseconds(moment: datetime) -> int:
    """The time in microseconds since the epoch, as it is stored."""
    return (moment - _EPOCH) // _MICROSECOND


def to_time(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the index contains. Every line after `complete_since` is there, except `missing` ones.

    `complete_since` is the time of the first event of the journal whose beginning is missing, the latest if there are
    several; None if every journal is there from its first line. `missing` counts the lines that are missing between two
    lines of a journal. `filling` is true while lines are still being read from the journals.
    """

    events: int = 0
    missing: int = 0
    complete_since: datetime | None = None
    filling: bool = True

    def as_text(self) -> str:
        since = self.complete_since.isoformat() if self.complete_since else None
        return json.dumps([self.events, self.missing, since, self.filling])

    @classmethod
    def parse(cls, text: str) -> "Coverage":
        events, missing, since, filling = json.loads(text)
        return cls(events, missing, datetime.fromisoformat(since) if since else None, filling)


class IndexWriter:
    """The only writer of an index. Every method raises sqlite3.Error; a transaction that failed changes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_for_writing(path)
        self._texts = StoredTexts(self._connection)
        self._last_seqs = {journal: last for journal, _, last, _ in self._connection.execute(_JOURNALS)}
        self.position = self._state("position") or POSITION_BEFORE_STREAM

    def close(self) -> None:
        self._connection.close()

    def add(self, lines: Sequence[bytes], *, since: datetime, position: str | None = None) -> bool:
        """Adds lines that are not older than `since`, and stores the position. Whether lines before them are missing.

        Lines that are not valid events are ignored: every Redis user with access to `audit:*` can write entries.
        """
        has_gap = False
        last_seqs = dict(self._last_seqs)
        added: list[tuple[int, bytes]] = []
        with self._transaction():
            for line in lines:
                event = _parse(line)
                if event is None:
                    continue
                journal = self._texts.name(event.journal_id)
                has_gap = has_gap or event.seq > last_seqs.get(journal, 0) + 1
                last_seqs[journal] = max(event.seq, last_seqs.get(journal, 0))
                if event.timestamp < since:
                    continue
                number = self._add_event(event, journal)
                if number is not None:
                    added.append((number, line))
            self._connection.executemany("INSERT INTO lines (id, line) VALUES (?, ?)", added)
            if position is not None:
                self._set_state("position", position)
        self._last_seqs = last_seqs
        self.position = position or self.position
        return has_gap

    def holes(self, journal_id: str, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        """The first and the last number of each missing part between two lines of a journal, both included."""
        found = self._connection.execute("SELECT id FROM names WHERE text = ?", (encode_name(journal_id),)).fetchone()
        if found is None:
            return [(first_seq, last_seq)] if first_seq <= last_seq else []
        (journal,) = found
        span = "SELECT min(seq), max(seq) FROM events WHERE journal = ?"
        lowest, highest = self._connection.execute(span, (journal,)).fetchone()
        if lowest is None:
            return [(first_seq, last_seq)] if first_seq <= last_seq else []
        inner: list[tuple[int, int]] = self._connection.execute(_HOLES, (journal,)).fetchall()
        clipped = [
            (max(first, first_seq), min(last, last_seq))
            for first, last in [(1, lowest - 1), *inner, (highest + 1, MAX_INTEGER)]
        ]
        return [(first, last) for first, last in clipped if first <= last]

    def remove_before(self, moment: datetime, *, limit: int) -> int:
        """Removes at most `limit` events that are older; returns how many."""
        before = to_microseconds(moment)
        with self._transaction():
            select = "SELECT id FROM events WHERE time < ? ORDER BY time LIMIT ?"
            ids = self._connection.execute(select, (before, limit)).fetchall()
            self._connection.executemany("DELETE FROM events WHERE id = ?", ids)
            self._connection.executemany("DELETE FROM lines WHERE id = ?", ids)
        return len(ids)

    def remove_unused_texts(self) -> None:
        """Removes the names and descriptions that no event has: they must not be kept longer than the events."""
        with self._transaction():
            self._connection.execute(f"DELETE FROM names WHERE id NOT IN ({_USED_NAMES})")  # noqa: S608
            self._connection.execute("DELETE FROM descriptions WHERE id NOT IN (SELECT description FROM events)")
        self._texts.forget()

    def measure_coverage(self, *, filling: bool) -> Coverage:
        """Reads what the index contains, and stores that for the readers."""
        events = missing = 0
        beginnings: list[int] = []
        for journal, first, last, count in self._connection.execute(_JOURNALS).fetchall():
            events += count
            missing += last - first + 1 - count
            if first > 1:
                select = "SELECT time FROM events WHERE journal = ? AND seq = ?"
                beginnings += self._connection.execute(select, (journal, first)).fetchone()
        since = to_time(max(beginnings)) if beginnings else None
        coverage = Coverage(events, missing, since, filling)
        with self._transaction():
            self._set_state("coverage", coverage.as_text())
        return coverage

    def _add_event(self, event: RecordedEvent, journal: int) -> int | None:
        """The number of the event; None if it is in the index already."""
        texts = self._texts
        row = (
            to_microseconds(event.timestamp),
            journal,
            event.seq,
            texts.description(event),
            texts.name(event.event_type),
            texts.name(event.outcome),
            texts.optional_name(event.user_id),
            texts.optional_name(event.issuer),
            texts.optional_name(event.client_id),
            texts.optional_name(event.tool_name),
            texts.optional_name(event.source_address),
            texts.optional_name(event.subject_reference),
        )
        added = self._connection.execute(_INSERT_EVENT, row)
        return added.lastrowid if added.rowcount else None

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._texts.forget()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _state(self, name: str) -> str | None:
        found = self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def _set_state(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def _parse(line: bytes) -> RecordedEvent | None:
    try:
        event = RecordedEvent.from_line(line)
    except ValueError:
        return None
    is_storable = 0 < event.seq <= MAX_INTEGER and event.timestamp >= _EPOCH
    return event if is_storable else None
