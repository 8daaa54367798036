"""Compares the acknowledged events, the lines of the journals and the entries of the stream."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from redis import Redis

from local_stack.faults.audit_load import SERVICE
from security_common.audit.segment_files import open_segments, slots_of
from security_common.audit.stream_shipping import STREAM_KEY

__all__ = ["Comparison", "acknowledged", "compare", "journal_lines", "stream_lines"]

LineId = tuple[str, int]
"""Journal id and sequence number."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Counts of a run.

    `lost` events were acknowledged and are not in the stream. `missing` events are on disk and not in the stream.
    `unacknowledged` events are on disk, but their process was killed before it could answer.
    """

    acknowledged: int
    in_stream: int
    lost: int
    duplicated: int
    out_of_order: int
    missing: int
    unacknowledged: int

    @property
    def is_complete(self) -> bool:
        return (self.lost, self.duplicated, self.out_of_order, self.missing) == (0, 0, 0, 0)


def acknowledged(acks: Path) -> set[LineId]:
    """The acknowledged events."""
    if not acks.exists():
        return set()
    lines = [line.split() for line in acks.read_text(encoding="ascii").splitlines()]
    return {(parts[0], int(parts[1])) for parts in lines if len(parts) == 3}


def journal_lines(directory: Path) -> list[LineId]:
    """The complete lines on disk, in the order of the files."""
    lines: list[LineId] = []
    for slot in slots_of(directory / SERVICE):
        for _, file in open_segments(slot):
            with file:
                lines += [_line_id(line) for line in file if line.endswith(b"\n")]
    return lines


def stream_lines(redis: "Redis") -> list[LineId]:
    """The entries of the stream, in its order."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis.xrange(STREAM_KEY))
    return [_line_id(members[b"event"]) for _, members in entries]


def compare(directory: Path, acks: Path, redis: "Redis") -> Comparison:
    """Every acknowledged event must be in the stream, and every line on disk exactly once and in order."""
    acknowledged_lines, on_disk, streamed = acknowledged(acks), journal_lines(directory), stream_lines(redis)
    return Comparison(
        acknowledged=len(acknowledged_lines),
        in_stream=len(streamed),
        lost=len(acknowledged_lines - set(streamed)),
        duplicated=sum(count - 1 for count in Counter(streamed).values()),
        out_of_order=_out_of_order(streamed),
        missing=len(set(on_disk) - set(streamed)),
        unacknowledged=len(set(on_disk) - acknowledged_lines),
    )


def _out_of_order(lines: list[LineId]) -> int:
    """Entries whose number is not one higher than that of the entry before it in the same journal."""
    seqs: dict[str, list[int]] = {}
    for journal_id, seq in lines:
        seqs.setdefault(journal_id, []).append(seq)
    return sum(following != seq + 1 for mine in seqs.values() for seq, following in pairwise(mine))


def _line_id(line: bytes) -> LineId:
    members: dict[str, Any] = json.loads(line)
    return members["journal_id"], members["seq"]
