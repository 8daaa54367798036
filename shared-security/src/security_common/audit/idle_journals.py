"""Journals nobody writes any more: of replicas that went away, and those a slot had before its present one.

A living process ships them to their end. Two that ship the same journal do no harm: the cursor in Redis decides.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from security_common.audit.heartbeats import read_heartbeats, write_heartbeat
from security_common.audit.journal_slot import SegmentIndex, Slot, last_line_of, recover, slots_of
from security_common.audit.stream_shipping import Shipper

__all__ = ["IdleJournals"]


class IdleJournals:
    """Looks into every slot of a service but for the journal that this process writes."""

    def __init__(
        self,
        redis: Redis,
        service_directory: Path,
        chain_key: bytes,
        own_slot: Path,
        *,
        on_shipped: Callable[[int], Awaitable[object]] | None = None,
    ) -> None:
        self._redis = redis
        self._on_shipped = on_shipped
        self._service_directory = service_directory
        self._chain_key = chain_key
        self._own_slot = own_slot
        self._indexes: dict[Path, SegmentIndex] = {}

    async def ship(self, *, but: str) -> int:
        """Ships what idle journals still have, all `but` the one of this id; returns how many it looked at."""
        idle = await asyncio.to_thread(self._ends, but)
        for (directory, journal_id), last_seq in idle.items():
            shipper = Shipper(
                self._redis, directory, journal_id, lambda last_seq=last_seq: last_seq, on_shipped=self._on_shipped
            )
            try:
                await shipper.ship()
            finally:
                shipper.close()
        await self._close_presence({journal_id: last_seq for (_, journal_id), last_seq in idle.items()})
        return len(idle)

    async def _close_presence(self, ends: Mapping[str, int]) -> None:
        """Whoever wrote these is gone, but their lines are here and in the stream: none of them is missing."""
        for known in await read_heartbeats(self._redis):
            if known.journal_id in ends and known.state == "open":
                await write_heartbeat(self._redis, replace(known, seq=ends[known.journal_id], state="closed"))

    def _ends(self, but: str) -> dict[tuple[Path, str], int]:
        ends: dict[tuple[Path, str], int] = {}
        for directory in slots_of(self._service_directory):
            if directory == self._own_slot:
                ends.update(self._ends_in(directory, but))
            elif (slot := Slot.claim_idle(directory)) is not None:
                # Held only while the torn tail, if any, is set aside: a starting process must find its slot free.
                try:
                    recover(slot, self._chain_key)
                    ends.update(self._ends_in(directory, but))
                finally:
                    slot.release()
        return ends

    def _ends_in(self, directory: Path, but: str) -> dict[tuple[Path, str], int]:
        """The last seq of each journal in a slot: it stands at the end of the journal's last segment."""
        index = self._indexes.setdefault(directory, SegmentIndex(directory))
        last_segments = {each.journal_id: each.path for each in index.segments() if each.journal_id != but}
        return {(directory, name): json.loads(last_line_of(path))["seq"] for name, path in last_segments.items()}
