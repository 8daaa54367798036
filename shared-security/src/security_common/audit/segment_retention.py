"""What may go, and when: a segment that is shipped, safe and old enough; stream entries nobody needs any more.

A segment leaves only when all three hold: its last line is behind the cursor, Redis has answered that everything up
to that cursor is in its append-only file, and its last line is older than the retention period. The journal says so in
an event of its own first, with the digest the next segment links to: a missing file without it is tampering.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from security_common.audit.actions import Action
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.journal_line import line_digest
from security_common.audit.journal_slot import Segment, SegmentIndex, last_line_of
from security_common.audit.stream_shipping import shipped_through

__all__ = ["Removal", "removable", "removal_of", "removals_recorded_in"]

FSYNC_KEY = "audit:fsync"
FSYNC_WAIT_MS = 2000

_REASON = re.compile(r"journal ([0-9a-f-]{36}) through ([0-9]+), digest ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Removal:
    """A segment that goes: which journal, up to which line, and that line's digest, which the next one links to."""

    path: Path
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


def removal_of(event: AuditEvent, path: Path) -> Removal | None:
    """The removal that an event tells of, if it does; `path` is where that event stands."""
    match = _REASON.fullmatch(event.reason or "") if event.event_type == EventType.JOURNAL_SEGMENT_REMOVED else None
    return Removal(path, match[1], int(match[2]), match[3]) if match else None


def removals_recorded_in(going: Removal) -> list[Removal]:
    """The last removals of other journals that a segment tells of: nobody else would know once it is gone."""
    with going.path.open(encoding="utf-8") as lines:
        told = [_REASON.search(line) for line in lines if f'"{EventType.JOURNAL_SEGMENT_REMOVED}"' in line]
    removals = [Removal(going.path, match[1], int(match[2]), match[3]) for match in told if match]
    return [*{each.journal_id: each for each in removals if each.journal_id != going.journal_id}.values()]


async def removable(redis: Redis, directory: Path, *, keep: timedelta, now: datetime) -> list[Removal]:
    """The segments of a slot that may go, oldest first. Raises redis.RedisError."""
    described = map(_describe, SegmentIndex(directory).segments()[:-1])
    old = [removal for removal, youngest in described if youngest < now - keep]
    if not old or not await _is_on_redis_disk(redis):
        return []
    cursors = {name: await shipped_through(redis, name) for name in {each.journal_id for each in old}}
    return list(takewhile(lambda each: each.last_seq <= cursors[each.journal_id], old))


def _describe(segment: Segment) -> tuple[Removal, datetime]:
    """What its removal would say, and when its last line was written."""
    last = last_line_of(segment.path)
    members: dict[str, Any] = json.loads(last)
    removal = Removal(segment.path, segment.journal_id, members["seq"], line_digest(last))
    return removal, datetime.fromisoformat(members["timestamp"])


async def _is_on_redis_disk(redis: Redis) -> bool:
    """Whether all that Redis has answered up to now is in its append-only file.

    WAITAOF speaks of the writes of its own connection, so one is made first: the file is sequential, what is before
    that write in memory is before it in the file. Without an append-only file nothing is ever safe.
    """
    async with redis.client() as connection:
        try:
            await connection.set(FSYNC_KEY, 1)
            synced = cast("list[int]", await connection.execute_command("WAITAOF", 1, 0, FSYNC_WAIT_MS))
        except ResponseError:
            return False
        return synced[0] >= 1
