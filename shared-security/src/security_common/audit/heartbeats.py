"""Which journals there are, how far each is, and whether it was closed: known to Redis, so that one can be missed.

    every 5 s, and at the end ──▶ hash audit:journals {journal id: {service, seq, seen_ms, state}}

A replica may have a disk of its own, and the disk may go with it. What it had not shipped by then is gone; from this
hash at least that is known, and how far the journal had been. A journal is complete when it was closed and the stream
has its last line. One that another process found on a shared disk, and shipped to its end, counts as closed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from redis.asyncio import Redis

from security_common.audit.stream_shipping import CURSORS_KEY

__all__ = [
    "HEARTBEAT_SECONDS",
    "JOURNALS_KEY",
    "Heartbeat",
    "mark_alerted",
    "missing_journals",
    "read_heartbeats",
    "write_heartbeat",
]

JOURNALS_KEY = "audit:journals"
HEARTBEAT_SECONDS = 5.0
KEPT_MS = 7 * 24 * 3600 * 1000
"""How long a complete journal stays known."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a journal last reported: its last line `seq`, when (milliseconds since the epoch), and its state.

    `shipped` is the last line that the stream has. `alerted`: that it is missing was recorded.
    """

    journal_id: str
    service: str
    seq: int
    seen_ms: int
    state: Literal["open", "closed"] = "open"
    alerted: bool = False
    shipped: int = 0

    @property
    def lines_missing(self) -> int:
        """Lines that it reported and the stream does not have."""
        return max(0, self.seq - self.shipped)

    @property
    def is_complete(self) -> bool:
        return self.state == "closed" and self.lines_missing == 0

    def is_missing(self, now_ms: int, quiet_seconds: float) -> bool:
        """Whether it has been quiet for so long, and was not closed or is not in the stream whole."""
        return not self.is_complete and now_ms - self.seen_ms >= quiet_seconds * 1000


_PRESENCE = TypeAdapter(Heartbeat)


async def write_heartbeat(redis: Redis, presence: Heartbeat) -> None:
    """Writes what a journal says of itself. Raises redis.RedisError."""
    members = {name: value for name, value in asdict(presence).items() if name not in {"journal_id", "shipped"}}
    write = redis.hset(JOURNALS_KEY, presence.journal_id, json.dumps(members))
    await write  # pyright: ignore[reportGeneralTypeIssues]  # typed as sync or async


async def read_heartbeats(redis: Redis) -> list[Heartbeat]:
    """All journals that are known, with what the stream has of them. Raises redis.RedisError."""
    known: Mapping[Any, Any] = await redis.hgetall(JOURNALS_KEY)  # pyright: ignore[reportGeneralTypeIssues]
    cursors: Mapping[Any, Any] = await redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]
    found: list[Heartbeat] = []
    for name, members in known.items():
        try:
            shipped = int(cursors.get(name, 0))
            told = json.loads(members) | {"journal_id": _text(name), "shipped": shipped}
            presence = _PRESENCE.validate_python(told)
        except (ValueError, TypeError, RecursionError):
            continue  # open to whoever may write audit:*
        if presence.seen_ms >= 0:
            found.append(presence)
    return found


async def missing_journals(redis: Redis, *, now_ms: int, quiet_seconds: float) -> list[Heartbeat]:
    """Those that are missing and were not alerted of. Forgets those long complete. Raises redis.RedisError."""
    known = await read_heartbeats(redis)
    old = [each.journal_id for each in known if each.is_complete and now_ms - each.seen_ms > KEPT_MS]
    if old:
        await redis.hdel(JOURNALS_KEY, *old)  # pyright: ignore[reportGeneralTypeIssues]
    return [each for each in known if each.is_missing(now_ms, quiet_seconds) and not each.alerted]


async def mark_alerted(redis: Redis, presence: Heartbeat) -> None:
    """Notes that an alert about this journal is on record; a sign of life from it makes it known anew."""
    await write_heartbeat(redis, replace(presence, alerted=True))


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
