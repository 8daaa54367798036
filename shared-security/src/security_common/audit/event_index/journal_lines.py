"""Lines that the index does not have and the journal files do: older than the stream, or trimmed before they were read.

In a new index that is everything that the stream no longer has. Only lines that are in the stream, or have been, are
read: the last lines of a journal may not be on disk yet.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from security_common.audit.event_index.index_writer import IndexWriter
from security_common.audit.segment_files import SegmentIndex, last_line_of, slots_of
from security_common.audit.stream_shipping import JournalReader

__all__ = ["missing_lines"]

logger = logging.getLogger(__name__)


def missing_lines(
    writer: IndexWriter, audit_directory: Path, shipped: Mapping[str, int], *, limit: int
) -> Iterator[list[bytes]]:
    """The missing lines of all journals below `audit_directory`, at most `limit` at a time.

    `shipped` is the last line of each journal that the stream has had. A directory that cannot be read is left out:
    the other services may run as other users. Raises sqlite3.Error.
    """
    for service_directory in sorted(audit_directory.glob("*")):
        try:
            slots = slots_of(service_directory)
        except OSError:
            continue
        for slot in slots:
            try:
                yield from _missing_in_slot(writer, slot, shipped, limit)
            except OSError as error:
                logger.info("audit_index_journal_skipped slot=%s cause=%s", slot, type(error).__name__)


def _missing_in_slot(writer: IndexWriter, slot: Path, shipped: Mapping[str, int], limit: int) -> Iterator[list[bytes]]:
    for journal_id, (first_seq, last_in_files) in _journals_of(slot).items():
        last_seq = min(last_in_files, shipped.get(journal_id, 0))
        with closing(JournalReader(slot, journal_id)) as reader:
            for first_missing, last_missing in writer.holes(journal_id, first_seq, last_seq):
                next_seq = first_missing
                while next_seq <= last_missing:
                    first_read, lines = reader.lines_after(next_seq - 1, through=last_missing, limit=limit)
                    if not lines:
                        break
                    yield lines
                    next_seq = first_read + len(lines)


def _journals_of(slot: Path) -> dict[str, tuple[int, int]]:
    """The first and the last line of each journal in a slot."""
    journals: dict[str, tuple[int, int]] = {}
    for segment in SegmentIndex(slot).segments():
        first_seq, _ = journals.get(segment.journal_id, (segment.first_seq, 0))
        journals[segment.journal_id] = first_seq, _last_seq_in(segment.path)
    return journals


def _last_seq_in(path: Path) -> int:
    try:
        return int(json.loads(last_line_of(path))["seq"])
    except (ValueError, KeyError, TypeError):
        return 0
