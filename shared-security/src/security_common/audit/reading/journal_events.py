"""The events of the journal files: for periods that are longer than what the stream holds."""

import heapq
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from security_common.audit import RecordedEvent
from security_common.audit.reading.trail import EventFilter
from security_common.audit.slot import open_segments, slots_of

__all__ = ["each_journal_event"]


async def each_journal_event(
    directories: Sequence[Path], criteria: EventFilter | None = None
) -> AsyncIterator[RecordedEvent]:
    """Every matching event of these services' journals, oldest first. Raises OSError.

    Reads files without giving way to other tasks: for commands, not for a service. Lines that are not events are left
    out; what is wrong with them is for `audit verify` to say.
    """
    wanted = criteria or EventFilter()
    slots = [slot for directory in directories for slot in slots_of(directory)]
    for event in heapq.merge(*map(_events_of, slots), key=lambda each: each.timestamp):
        if wanted.matches(event):
            yield event


def _events_of(slot: Path) -> Iterator[RecordedEvent]:
    for _, file in open_segments(slot):
        with file:
            for line in file:
                try:
                    yield RecordedEvent.from_line(line)
                except ValueError:
                    continue
