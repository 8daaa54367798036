"""Sets revoked bits again from the audit journals of this machine, after Redis lost data.

`auth:{status}:replayed` is the time up to which the journals are applied. Redis loses it together with the bits: it is
missing in an empty Redis, and earlier in a restored backup. So a normal start reads only the newest lines, and a start
after a loss reads what is missing. A replica applies the journals that it can read; each revocation is in the journal
of the replica, or of the machine of the command, that made it.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis

from auth_service.protocol import Clock
from auth_service.token_status.revocations import revoked_key, set_revoked
from auth_service.token_status.status_indices import KEY_PREFIX, StatusReference
from security_common.audit import EventType
from security_common.audit.segment_files import open_segments, slots_of

__all__ = ["RevocationReplay"]

_REPLAYED = f"{KEY_PREFIX}replayed"
# Events are recorded before their bits are set, and clocks of replicas differ a little.
_OVERLAP_SECONDS = 120.0
# Lines have sorted members and no spaces (`audit.journal_line`).
_MARK = f'"event_type":"{EventType.ACCESS_TOKENS_REVOKED.value}"'.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationReplay:
    """`directory` has the journals of this service; `lifetime_seconds` is that of `StatusIndices`."""

    redis: Redis
    directory: Path
    clock: Clock
    lifetime_seconds: int

    async def run(self) -> int:
        """Sets the bits, and returns how many were missing. Raises `RedisError`, `OSError`."""
        missing = 0
        for status in await self._recorded():
            missing += await set_revoked(self.redis, status, lifetime_seconds=self.lifetime_seconds)
        await self.mark()
        return missing

    async def count_missing(self) -> int:
        """How many bits `run` would set. Changes nothing. Raises `RedisError`, `OSError`."""
        missing = 0
        for status in await self._recorded():
            missing += not await self.redis.getbit(revoked_key(status.list_id), status.index)
        return missing

    async def _recorded(self) -> list[StatusReference]:
        """The revocations that the journals have since the last replay."""
        replayed_until = float(await self.redis.get(_REPLAYED) or 0.0)
        since = max(replayed_until - _OVERLAP_SECONDS, self.clock() - self.lifetime_seconds)
        return await asyncio.to_thread(lambda: list(_revocations_in(self.directory, since)))

    async def mark(self) -> None:
        """Everything that is recorded up to now has its bit set."""
        await self.redis.set(_REPLAYED, self.clock())


def _revocations_in(directory: Path, since_seconds: float) -> Iterator[StatusReference]:
    """The revocations that were recorded after this time (seconds since the epoch)."""
    for slot in slots_of(directory):
        for path, file in open_segments(slot):
            with file:
                if path.exists() and path.stat().st_mtime < since_seconds:
                    continue
                for line in file:
                    status = _read(line, since_seconds) if _MARK in line else None
                    if status is not None:
                        yield status


def _read(line: bytes, since_seconds: float) -> StatusReference | None:
    try:
        members = json.loads(line)
        recorded_at_seconds = datetime.fromisoformat(members["timestamp"]).timestamp()
        reason = str(members["reason"])
    except (ValueError, KeyError, TypeError):
        return None
    return StatusReference.parse(reason) if recorded_at_seconds >= since_seconds else None
