"""Heartbeats: every journal reports to Redis how far it is, so that a journal that disappears is noticed.

    every 5 s, and at the end ──▶ hash audit:journals {journal id: {service, seq, seen_ms, state}}

A replica can have its own disk, and the disk can be lost with it, together with the lines that were not shipped yet.
The heartbeat then shows that the journal existed and which line it had reached. A journal is complete if it was closed
and the stream has its last line. A journal that another process found on a shared disk and shipped to its end counts
as closed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from redis.asyncio import Redis

from security_common.audit.stream_shipping import CURSORS_KEY, redis_text

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
"""The heartbeat of a complete journal is deleted after this time."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last report of a journal: its last line `seq`, the time in milliseconds since the epoch, and its state.

    `shipped` is the last line that the stream has. `alerted` is true if an alert about its absence was recorded.
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
        """The number of lines that were reported and are not in the stream."""
        return max(0, self.seq - self.shipped)

    @property
    def is_complete(self) -> bool:
        return self.state == "closed" and self.lines_missing == 0

    def is_missing(self, now_ms: int, quiet_seconds: float) -> bool:
        """Whether the journal is not complete and has not reported for `quiet_seconds`."""
        return not self.is_complete and now_ms - self.seen_ms >= quiet_seconds * 1000


_HEARTBEAT_ADAPTER = TypeAdapter(Heartbeat)


async def write_heartbeat(redis: Redis, heartbeat: Heartbeat) -> None:
    """Raises redis.RedisError."""
    members = {name: value for name, value in asdict(heartbeat).items() if name not in {"journal_id", "shipped"}}
    write = redis.hset(JOURNALS_KEY, heartbeat.journal_id, json.dumps(members))
    await write  # pyright: ignore[reportGeneralTypeIssues]  # typed as sync or async


async def read_heartbeats(redis: Redis) -> list[Heartbeat]:
    """The heartbeats of all journals, with how far the stream has each. Raises redis.RedisError.

    Invalid entries are ignored: every Redis user with access to `audit:*` can write them.
    """
    reports: Mapping[Any, Any] = await redis.hgetall(JOURNALS_KEY)  # pyright: ignore[reportGeneralTypeIssues]
    cursors: Mapping[Any, Any] = await redis.hgetall(CURSORS_KEY)  # pyright: ignore[reportGeneralTypeIssues]
    heartbeats: list[Heartbeat] = []
    for journal_id, text in reports.items():
        try:
            shipped = int(cursors.get(journal_id, 0))
            members = json.loads(text) | {"journal_id": redis_text(journal_id), "shipped": shipped}
            heartbeat = _HEARTBEAT_ADAPTER.validate_python(members)
        except (ValueError, TypeError, RecursionError):
            continue
        if heartbeat.seen_ms >= 0:
            heartbeats.append(heartbeat)
    return heartbeats


async def missing_journals(redis: Redis, *, now_ms: int, quiet_seconds: float) -> list[Heartbeat]:
    """Journals that are missing and for which no alert was recorded yet. Deletes old heartbeats of complete journals.

    Raises redis.RedisError.
    """
    heartbeats = await read_heartbeats(redis)
    old = [each.journal_id for each in heartbeats if each.is_complete and now_ms - each.seen_ms > KEPT_MS]
    if old:
        await redis.hdel(JOURNALS_KEY, *old)  # pyright: ignore[reportGeneralTypeIssues]
    return [each for each in heartbeats if each.is_missing(now_ms, quiet_seconds) and not each.alerted]


async def mark_alerted(redis: Redis, heartbeat: Heartbeat) -> None:
    """Stores that an alert about this journal was recorded. The next heartbeat of the journal resets this."""
    await write_heartbeat(redis, replace(heartbeat, alerted=True))
