"""Splits a text of any length into blocks that fit into memory, at places where a cut does not change the findings."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from security_common.pii.delimited_tables import header_line
from security_common.pii.detector import PIIDetector
from security_common.pii.finding import Finding

__all__ = ["BLOCK_CHARS", "MARGIN_CHARS", "blocks_with_header", "split_into_blocks"]

BLOCK_CHARS = 2**18
MARGIN_CHARS = 2**14
"""The longest value that a cut never divides. An RSA private key of 8,192 bits has about 6,500 characters."""
CONTEXT_CHARS = 256
"""How far a label or a neighbouring value can influence a finding. The rules read about 60 characters at most."""
MAX_CUTS_TRIED = 40

_Scan = Callable[[str], Sequence[Finding]]


def blocks_with_header(chunks: Iterable[str], detector: PIIDetector) -> Iterator[tuple[str, str]]:
    """The blocks of a text, each with the header line of the text if it begins with one.

    The first block contains the header line itself, so its header is empty. To scan another block, put its header in
    front, so that the columns of a table keep their headings. The header is masked: what it contains belongs to the
    first block.
    """
    header = ""
    is_first = True
    for block in split_into_blocks(chunks, detector.scan_text):
        yield header, block
        if is_first:
            header = detector.mask_text(header_line(block))
            is_first = False


def split_into_blocks(
    chunks: Iterable[str], scan: _Scan, *, block_chars: int = BLOCK_CHARS, margin_chars: int = MARGIN_CHARS
) -> Iterator[str]:
    """The text of `chunks` in blocks in which `scan` finds the same as in the whole text.

    A line end alone is not a safe place for a cut: a private key has many lines, and a label may be in the line above
    its value. Blocks are longer than `block_chars - 2 * margin_chars`, except the last. At most `block_chars` and one
    chunk are in memory.
    """
    waiting = ""
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= block_chars:
            cut = _place_to_cut(waiting, scan, margin_chars)
            yield waiting[:cut]
            waiting = waiting[cut:]
    if waiting:
        yield waiting


def _place_to_cut(text: str, scan: _Scan, margin_chars: int) -> int:
    """The last line end, otherwise the last space, that is outside of every value and does not change the findings.

    The search covers the margin before the last one: a value that begins there ends before the end of the text.
    """
    scanned_from = len(text) - 3 * margin_chars
    first, last = len(text) - 2 * margin_chars, len(text) - margin_chars
    values = [(scanned_from + found.start, scanned_from + found.end) for found in scan(text[scanned_from:])]
    outside_values = [
        place
        for place in _borders(text, first, last)[:MAX_CUTS_TRIED]
        if not any(start < place < end for start, end in values)
    ]
    for place in outside_values:
        if _cut_changes_nothing(text, place, scan):
            return place
    return outside_values[0] if outside_values else last


def _borders(text: str, first: int, last: int) -> list[int]:
    """The places after line ends, then those after any white space, each from last to first."""
    places: list[int] = []
    for border in ("\n", r"\s"):
        matches = list(re.finditer(border, text[first:last]))
        places += [first + match.end() for match in reversed(matches)]
    return places


def _cut_changes_nothing(text: str, place: int, scan: _Scan) -> bool:
    before, after = text[max(0, place - CONTEXT_CHARS) : place], text[place : place + CONTEXT_CHARS]
    found_in_halves = _kinds_and_places(scan(before), 0) | _kinds_and_places(scan(after), len(before))
    return found_in_halves == _kinds_and_places(scan(before + after), 0)


def _kinds_and_places(findings: Iterable[Finding], offset: int) -> set[tuple[str, int, int]]:
    return {(found.kind, offset + found.start, offset + found.end) for found in findings}
