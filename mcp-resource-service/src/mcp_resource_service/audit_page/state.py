"""How the trail itself does: each journal's place in the stream, and whether anything is missing there."""

from collections.abc import Iterable
from dataclasses import dataclass

from redis.asyncio import Redis

from security_common.journal import RecordedEvent
from security_common.journal.shipping import CURSORS_KEY

__all__ = ["JournalState", "TrailState", "read_state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """One journal: what has been shipped, and how many of the events looked at are missing between others."""

    journal_id: str
    service: str
    shipped_through_seq: int
    newest_seq: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailState:
    """The journals that wrote in the period shown, and this process's own."""

    writable: bool
    journals: tuple[JournalState, ...]

    @property
    def sound(self) -> bool:
        """Nothing missing, nothing stuck."""
        return self.writable and not any(journal.missing for journal in self.journals)


async def read_state(redis: Redis, events: Iterable[RecordedEvent], *, writable: bool) -> TrailState:
    """State of the journals behind these events, which must be all of a period."""
    seen: dict[str, tuple[str, set[int]]] = {}
    for event in events:
        seen.setdefault(event.journal_id, (event.service, set()))[1].add(event.seq)
    cursors = await redis.hgetall(CURSORS_KEY)
    return TrailState(
        writable=writable,
        journals=tuple(
            JournalState(
                journal_id=journal_id,
                service=service,
                shipped_through_seq=int(cursors.get(journal_id, 0)),
                newest_seq=max(numbers),
                missing=max(numbers) - min(numbers) + 1 - len(numbers),
            )
            for journal_id, (service, numbers) in sorted(seen.items(), key=lambda item: item[1][0])
        ),
    )
