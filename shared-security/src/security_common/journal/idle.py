"""Journals nobody writes any more: of replicas that went away, and those a slot had before its present one.

A living process ships them to their end. Two that ship the same journal do no harm: the cursor in Redis decides.
"""

import asyncio
import json
from pathlib import Path

from redis.asyncio import Redis

from security_common.journal.shipping import Shipper
from security_common.journal.slot import Slot, last_line_of, recover, segments_of, slots_of

__all__ = ["ship_idle"]


async def ship_idle(redis: Redis, service_directory: Path, chain_key: bytes, *, own_slot: Path, own_id: str) -> int:
    """Ships what idle journals of this service still have; returns how many journals it looked at."""
    idle = await asyncio.to_thread(_ends_of_idle_journals, service_directory, chain_key, own_slot, own_id)
    for (directory, journal_id), last_seq in idle.items():
        shipper = Shipper(redis, directory, journal_id, lambda last_seq=last_seq: last_seq)
        try:
            await shipper.ship()
        finally:
            shipper.close()
    return len(idle)


def _ends_of_idle_journals(
    service_directory: Path, chain_key: bytes, own_slot: Path, own_id: str
) -> dict[tuple[Path, str], int]:
    ends = {key: last_seq for key, last_seq in _ends_of(own_slot).items() if key[1] != own_id}
    for directory in slots_of(service_directory):
        if directory == own_slot or (slot := Slot.claim_idle(directory)) is None:
            continue
        # Held only while the torn tail, if any, is set aside: a starting process must find its slot free again.
        try:
            recover(slot, chain_key)
            ends.update(_ends_of(directory))
        finally:
            slot.release()
    return ends


def _ends_of(directory: Path) -> dict[tuple[Path, str], int]:
    """The last seq of each journal in a slot. Segments come oldest first, so the last one of a journal wins."""
    ends: dict[tuple[Path, str], int] = {}
    for segment in segments_of(directory):
        ends[directory, segment.journal_id] = json.loads(last_line_of(segment.path))["seq"]
    return ends
