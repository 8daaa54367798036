"""Which of several overlapping candidates stands: the surer, then the longer, then the earlier."""

from bisect import bisect_left
from collections.abc import Sequence

from security_common.pii.reading import Candidate

__all__ = ["settle"]


def settle(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates that do not overlap, in order of their place. The same input in any order gives the same answer."""
    if len(candidates) < 2:
        return list(candidates)
    ranked = sorted(candidates, key=lambda one: (-one.score, one.start - one.end, one.start, one.kind))
    starts: list[int] = []
    kept: list[Candidate] = []
    for one in ranked:
        index = bisect_left(starts, one.start)
        free_before = index == 0 or kept[index - 1].end <= one.start
        if free_before and (index == len(kept) or one.end <= kept[index].start):
            starts.insert(index, one.start)
            kept.insert(index, one)
    return kept
