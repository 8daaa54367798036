"""How the trail itself does: whether the newest lines of each journal still link, and how far each was shipped."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis

from security_common.journal import RecordedEvent
from security_common.journal.checkpoint import CHECKPOINTS_KEY
from security_common.journal.record import line_digest
from security_common.journal.shipping import CURSORS_KEY, STREAM_KEY

__all__ = ["JournalState", "TrailState", "read_state"]

NEWEST_LINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """One journal among the newest lines: `missing` lines between others, `broken` links to the line before."""

    journal_id: str
    service: str
    shipped_through_seq: int
    newest_seq: int
    missing: int
    broken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailState:
    """The journals behind the newest lines, and whether this process can add to its own."""

    writable: bool
    newest_checkpoint: datetime | None
    journals: tuple[JournalState, ...]

    @property
    def sound(self) -> bool:
        """Nothing missing, nothing changed, nothing stuck."""
        return self.writable and not any(journal.missing or journal.broken for journal in self.journals)


async def read_state(redis: Redis, *, writable: bool) -> TrailState:
    """Looks at the newest 2,000 lines of the stream. The seals need the chain key: `security-common audit verify`."""
    entries = cast("list[tuple[str, dict[str, str]]]", await redis.xrevrange(STREAM_KEY, count=NEWEST_LINES))
    cursors = cast("dict[str, str]", await redis.hgetall(CURSORS_KEY))
    checkpoints = cast("list[tuple[str, object]]", await redis.xrevrange(CHECKPOINTS_KEY, count=1))
    journals: dict[str, dict[int, tuple[RecordedEvent, str]]] = {}
    for _, members in entries:
        line = members.get("event", "")
        try:
            event = RecordedEvent.from_line(line)
        except ValueError:
            continue
        journals.setdefault(event.journal_id, {})[event.seq] = event, line_digest(line.encode())
    return TrailState(
        writable=writable,
        newest_checkpoint=_moment(checkpoints[0][0]) if checkpoints else None,
        journals=tuple(_look(lines, int(cursors.get(journal_id, 0))) for journal_id, lines in journals.items()),
    )


def _look(lines: Mapping[int, tuple[RecordedEvent, str]], shipped_through_seq: int) -> JournalState:
    newest, oldest = max(lines), min(lines)
    event, _ = lines[newest]
    links = ((event.prev, lines[seq - 1][1]) for seq, (event, _) in lines.items() if seq - 1 in lines)
    return JournalState(
        journal_id=event.journal_id,
        service=event.service,
        shipped_through_seq=shipped_through_seq,
        newest_seq=newest,
        missing=newest - oldest + 1 - len(lines),
        broken=sum(prev != digest for prev, digest in links),
    )


def _moment(stream_id: str) -> datetime:
    return datetime.fromtimestamp(int(stream_id.partition("-")[0]) / 1000, UTC)
