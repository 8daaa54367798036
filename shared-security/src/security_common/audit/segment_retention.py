"""Retention: which segments may be removed, and the event that records a removal.

A segment may be removed when all of this is true: its last line is in the stream, Redis has confirmed that its
append-only file has everything up to that line, and its last line is older than the retention period. Before that, the
journal records an event with the digest to which the next segment links. A missing file without such an event is
reported as tampering.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from security_common.audit.actions import Action
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.journal_line import line_digest
from security_common.audit.segment_files import Segment, SegmentIndex, last_line_of
from security_common.audit.stream_shipping import shipped_through

__all__ = ["RemovableSegment", "Removal", "removable_segments", "removal_of", "removals_recorded_in"]

FSYNC_KEY = "audit:fsync"
FSYNC_WAIT_MS = 2000

_REMOVAL_TEXT = re.compile(r"journal ([0-9a-f-]{36}) through ([0-9]+), digest ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Removal:
    """The removal of a segment, as the journal records it: its journal, its last line, and the digest of that line."""

    journal_id: str
    last_seq: int
    digest: str

    def as_event(self) -> AuditEvent:
        return AuditEvent(
            event_type=EventType.JOURNAL_SEGMENT_REMOVED,
            action_taken=Action.REMOVED,
            outcome=Outcome.SUCCESS,
            reason=f"journal {self.journal_id} through {self.last_seq}, digest {self.digest}",
        )


@dataclass(frozen=True, slots=True)
class RemovableSegment:
    """A segment file that may be removed, and the removal that has to be recorded before."""

    path: Path
    removal: Removal


def removal_of(event: AuditEvent) -> Removal | None:
    """The removal that an event records; None for any other event."""
    if event.event_type != EventType.JOURNAL_SEGMENT_REMOVED:
        return None
    return _to_removal(_REMOVAL_TEXT.fullmatch(event.reason or ""))


def removals_recorded_in(segment: RemovableSegment) -> list[Removal]:
    """The last removal of each other journal that a segment records.

    They have to be recorded again before the segment is removed, because its lines are the only record of them.
    """
    newest: dict[str, Removal] = {}
    with segment.path.open(encoding="utf-8") as lines:
        for line in lines:
            if f'"{EventType.JOURNAL_SEGMENT_REMOVED}"' not in line:
                continue
            removal = _to_removal(_REMOVAL_TEXT.search(line))
            if removal is not None and removal.journal_id != segment.removal.journal_id:
                newest[removal.journal_id] = removal
    return list(newest.values())


async def removable_segments(
    redis: Redis, directory: Path, *, keep: timedelta, now: datetime
) -> list[RemovableSegment]:
    """The segments of a slot that may be removed, oldest first. Raises redis.RedisError."""
    closed_segments = SegmentIndex(directory).segments()[:-1]
    described = [_describe(segment) for segment in closed_segments]
    old = [segment for segment, written_at in described if written_at < now - keep]
    if not old or not await _redis_has_synced(redis):
        return []
    cursors: dict[str, int] = {}
    removable: list[RemovableSegment] = []
    for segment in old:
        removal = segment.removal
        if removal.journal_id not in cursors:
            cursors[removal.journal_id] = await shipped_through(redis, removal.journal_id)
        if removal.last_seq > cursors[removal.journal_id]:
            break
        removable.append(segment)
    return removable


def _to_removal(match: re.Match[str] | None) -> Removal | None:
    return Removal(match[1], int(match[2]), match[3]) if match else None


def _describe(segment: Segment) -> tuple[RemovableSegment, datetime]:
    """The segment with its removal, and the time of its last line."""
    last_line = last_line_of(segment.path)
    members: dict[str, Any] = json.loads(last_line)
    removal = Removal(segment.journal_id, members["seq"], line_digest(last_line))
    return RemovableSegment(segment.path, removal), datetime.fromisoformat(members["timestamp"])


async def _redis_has_synced(redis: Redis) -> bool:
    """Whether everything that Redis has answered so far is in its append-only file.

    WAITAOF waits for the writes of its own connection, so this makes one first: the file is sequential, so everything
    before that write is in the file before it. Without an append-only file the answer is always False.
    """
    async with redis.client() as connection:
        try:
            await connection.set(FSYNC_KEY, 1)
            synced = cast("list[int]", await connection.execute_command("WAITAOF", 1, 0, FSYNC_WAIT_MS))
        except ResponseError:
            return False
        return synced[0] >= 1
