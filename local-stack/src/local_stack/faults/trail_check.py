"""Compares what was acknowledged, what the journals hold and what the stream shows."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from redis import Redis

from local_stack.faults.audit_load import SERVICE
from security_common.audit.segment_files import open_segments, slots_of

__all__ = ["Comparison", "acknowledged", "compare", "journal_places", "stream_places"]

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Counts of a run. `unacknowledged` events were on disk when their process was killed before it could answer."""

    acknowledged: int
    in_stream: int
    lost: int
    doubled: int
    disordered: int
    missing: int
    unacknowledged: int

    @property
    def whole(self) -> bool:
        return (self.lost, self.doubled, self.disordered, self.missing) == (0, 0, 0, 0)


def acknowledged(acks: Path) -> set[Place]:
    """(journal, seq) of each event whose caller was told that it is on disk."""
    if not acks.exists():
        return set()
    told = (line.split() for line in acks.read_text(encoding="ascii").splitlines())
    return {(words[0], int(words[1])) for words in told if len(words) == 3}


def journal_places(directory: Path) -> list[Place]:
    """(journal, seq) of each line on disk, in the order of the files."""
    places: list[Place] = []
    for slot in slots_of(directory / SERVICE):
        for _, file in open_segments(slot):
            with file:
                places += [_place(line) for line in file if line.endswith(b"\n")]
    return places


def stream_places(redis: "Redis") -> list[Place]:
    """(journal, seq) of each entry of the stream, in its order."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis.xrange("audit:events"))
    return [_place(members[b"event"]) for _, members in entries]


def compare(directory: Path, acks: Path, redis: "Redis") -> Comparison:
    """Everything acknowledged must be in the stream, all that is on disk exactly once, each journal in order."""
    acked, on_disk, streamed = acknowledged(acks), journal_places(directory), stream_places(redis)
    return Comparison(
        acknowledged=len(acked),
        in_stream=len(streamed),
        lost=len(acked - set(streamed)),
        doubled=sum(count - 1 for count in Counter(streamed).values()),
        disordered=_disordered(streamed),
        missing=len(set(on_disk) - set(streamed)),
        unacknowledged=len(set(on_disk) - acked),
    )


def _disordered(places: list[Place]) -> int:
    """Entries that do not follow their predecessor in the same journal by exactly one."""
    seqs: dict[str, list[int]] = {}
    for journal_id, seq in places:
        seqs.setdefault(journal_id, []).append(seq)
    return sum(following != seq + 1 for mine in seqs.values() for seq, following in pairwise(mine))


def _place(line: bytes) -> Place:
    members: dict[str, Any] = json.loads(line)
    return members["journal_id"], members["seq"]
