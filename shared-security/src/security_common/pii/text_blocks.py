"""A text of any length in parts that fit into memory, cut where cutting hides nothing from the detector."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from security_common.pii import Finding

__all__ = ["in_parts"]

BLOCK, MARGIN = 2**18, 2**14
"""Characters read before a cut, and the longest value that no cut divides: an RSA key of 8,192 bits has 6,500."""

REACH = 256
"""How far a label or a neighbour decides what a value is; the detector looks no more than some 30 characters."""

TRIES = 40

Scan = Callable[[str], Sequence[Finding]]


def in_parts(chunks: Iterable[str], scan: Scan, *, block: int = BLOCK, margin: int = MARGIN) -> Iterator[str]:
    """The text of `chunks` in parts, of which `scan` finds what it finds in the whole.

    Line ends do not count as borders: a private key has many, a label may stand above its value. Parts are longer than
    `block - 2 * margin`; no more than `block` and one chunk are held.
    """
    waiting = ""
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= block:
            cut = _place_to_cut(waiting, scan, margin)
            yield waiting[:cut]
            waiting = waiting[cut:]
    if waiting:
        yield waiting


def _place_to_cut(text: str, scan: Scan, margin: int) -> int:
    """The last line end, else space, outside of every value and out of its context; each value fits into a margin."""
    first, last, base = len(text) - 2 * margin, len(text) - margin, len(text) - 3 * margin
    values = [(base + one.start, base + one.end) for one in scan(text[base:])]
    borders = [[*re.finditer(border, text[first:last])] for border in ("\n", r"\s")]
    places = [first + match.end() for found in borders for match in reversed(found)]
    free = [place for place in places[:TRIES] if not any(start < place < end for start, end in values)]
    return next((place for place in free if _changes_nothing(text, place, scan)), (free or [last])[0])


def _changes_nothing(text: str, place: int, scan: Scan) -> bool:
    before, after = text[max(0, place - REACH) : place], text[place : place + REACH]
    halves = _places(scan(before), 0) | _places(scan(after), len(before))
    return halves == _places(scan(before + after), 0)


def _places(findings: Iterable[Finding], offset: int) -> set[tuple[str, int, int]]:
    return {(one.kind, offset + one.start, offset + one.end) for one in findings}
