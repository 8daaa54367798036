"""Journals that no running process writes: those of processes that have ended, and former journals of a slot.

A running process ships them to their end. Two processes may ship the same journal: the cursor in Redis ensures that
each line is added to the stream once.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from security_common.audit.heartbeats import read_heartbeats, write_heartbeat
from security_common.audit.journal_slot import Slot, recover
from security_common.audit.segment_files import SegmentIndex, last_line_of, slots_of
from security_common.audit.stream_shipping import Shipper

__all__ = ["IdleJournals"]


class IdleJournals:
    """All journals of a service except the one that this process writes."""

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

    async def ship(self, *, own_journal_id: str) -> int:
        """Ships what is not in the stream yet. Returns the number of idle journals. Raises RedisError and OSError."""
        last_seqs = await asyncio.to_thread(self._last_seqs, own_journal_id)
        for (directory, journal_id), last_seq in last_seqs.items():
            await self._ship_journal(directory, journal_id, last_seq)
        await self._close_heartbeats({journal_id: last_seq for (_, journal_id), last_seq in last_seqs.items()})
        return len(last_seqs)

    async def _ship_journal(self, directory: Path, journal_id: str, last_seq: int) -> None:
        with Shipper(self._redis, directory, journal_id, lambda: last_seq, on_shipped=self._on_shipped) as shipper:
            await shipper.ship()

    async def _close_heartbeats(self, last_seqs: Mapping[str, int]) -> None:
        """The writer of these journals has ended, but all lines are in the stream, so none of them is missing."""
        for heartbeat in await read_heartbeats(self._redis):
            last_seq = last_seqs.get(heartbeat.journal_id)
            if last_seq is not None and heartbeat.state == "open":
                await write_heartbeat(self._redis, replace(heartbeat, seq=last_seq, state="closed"))

    def _last_seqs(self, own_journal_id: str) -> dict[tuple[Path, str], int]:
        last_seqs: dict[tuple[Path, str], int] = {}
        for directory in slots_of(self._service_directory):
            if directory == self._own_slot:
                last_seqs.update(self._last_seqs_in(directory, own_journal_id))
                continue
            slot = Slot.claim_idle(directory)
            if slot is None:
                continue
            # The lock is only held while a torn tail is set aside: a starting process must find the slot free.
            try:
                recover(slot, self._chain_key)
                last_seqs.update(self._last_seqs_in(directory, own_journal_id))
            finally:
                slot.release()
        return last_seqs

    def _last_seqs_in(self, directory: Path, own_journal_id: str) -> dict[tuple[Path, str], int]:
        """The last sequence number of each journal in a slot, from the last line of its last segment."""
        index = self._indexes.setdefault(directory, SegmentIndex(directory))
        # The segments are in order: the last one of a journal replaces the earlier ones.
        last_segments = {each.journal_id: each.path for each in index.segments() if each.journal_id != own_journal_id}
        return {
            (directory, journal_id): json.loads(last_line_of(path))["seq"] for journal_id, path in last_segments.items()
        }
