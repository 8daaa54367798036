"""The state of the stream: whether the newest lines of each journal are linked, and how far each is shipped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis

from security_common.audit import RecordedEvent
from security_common.audit.checkpoints import CHECKPOINTS_KEY
from security_common.audit.journal_line import line_digest
from security_common.audit.reading.search import StreamEntries, entry_line, parse_entry
from security_common.audit.stream_shipping import CURSORS_KEY, STREAM_KEY, redis_text

__all__ = ["JournalState", "TrailState", "oldest_event", "read_trail_state"]

NEWEST_LINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """One journal in the newest lines: `missing` counts missing lines, `broken` lines with a wrong link."""

    journal_id: str
    service: str
    shipped_through_seq: int
    newest_seq: int
    missing: int
    broken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailState:
    """The journals of the newest lines. `begins` is the time of the oldest event in the stream.

    `trimmed` is true if there were older events, which are only in the journals now.
    """

    newest_checkpoint: datetime | None
    begins: datetime | None = None
    trimmed: bool = False
    journals: tuple[JournalState, ...]

    @property
    def intact(self) -> bool:
        """Whether no line is missing or changed."""
        return not any(journal.missing or journal.broken for journal in self.journals)

    def as_data(self) -> dict[str, object]:
        """JSON-ready members."""
        signed = self.newest_checkpoint.isoformat() if self.newest_checkpoint else None
        return {
            "sound": self.intact,
            "newest_checkpoint": signed,
            "stream_begins": self.begins.isoformat() if self.begins else None,
            "stream_trimmed": self.trimmed,
            "journals": [asdict(each) for each in self.journals],
        }


async def read_trail_state(redis: Redis) -> TrailState:
    """Checks the newest 2,000 lines of the stream. Seals need the chain key: `security-common audit verify`.

    Raises redis.RedisError.
    """
    entries = cast("StreamEntries", await redis.xrevrange(STREAM_KEY, count=NEWEST_LINES))
    oldest = await oldest_event(redis)
    shipped = (await redis.hgetall(CURSORS_KEY)).items()
    cursors = {redis_text(name): int(seq) for name, seq in shipped if redis_text(seq).isdecimal()}
    checkpoints = cast("StreamEntries", await redis.xrevrange(CHECKPOINTS_KEY, count=1))
    journals: dict[str, dict[int, tuple[RecordedEvent, str]]] = {}
    for entry_id, members in entries:
        event = parse_entry(members, redis_text(entry_id))
        if event is not None:
            digest = line_digest(redis_text(entry_line(members)).encode())
            journals.setdefault(event.journal_id, {})[event.seq] = event, digest
    return TrailState(
        newest_checkpoint=_parse_entry_time(redis_text(checkpoints[0][0])) if checkpoints else None,
        begins=oldest.timestamp if oldest else None,
        trimmed=oldest is not None and oldest.seq > 1,
        journals=tuple(_check_journal(lines, cursors.get(journal_id, 0)) for journal_id, lines in journals.items()),
    )


async def oldest_event(redis: Redis) -> RecordedEvent | None:
    """The first event of the stream. If its seq is above 1, older events were trimmed. Raises redis.RedisError."""
    entries = cast("StreamEntries", await redis.xrange(STREAM_KEY, count=1))
    return parse_entry(entries[0][1], redis_text(entries[0][0])) if entries else None


def _check_journal(lines: Mapping[int, tuple[RecordedEvent, str]], shipped_through_seq: int) -> JournalState:
    newest = max(lines)
    oldest = min(lines)
    broken = 0
    for seq, (event, _) in lines.items():
        if seq - 1 in lines:
            _, digest_before = lines[seq - 1]
            broken += event.prev != digest_before
    newest_event, _ = lines[newest]
    return JournalState(
        journal_id=newest_event.journal_id,
        service=newest_event.service,
        shipped_through_seq=shipped_through_seq,
        newest_seq=newest,
        missing=newest - oldest + 1 - len(lines),
        broken=broken,
    )


def _parse_entry_time(stream_id: str) -> datetime:
    return datetime.fromtimestamp(int(stream_id.partition("-")[0]) / 1000, UTC)
