"""Searches a long text in slices, at places where a cut does not change the findings.

    ┌──── slice ────────────────┐
    │                     ┌─────┴─ next slice ──────────┐
    ▼                     ▼     ▼
    text text text text, text text text text text text
                         └ cut: outside of every finding, and the text on both sides has the same findings without the
                           other side

A search over a slice takes a few milliseconds, so that other threads can run in between, and no rule costs more than
linear time in the length of the whole text.
"""

import re
from collections.abc import Callable, Iterator

from security_common.pii.finding import Finding

__all__ = ["SLICE_CHARS", "find_in_slices", "find_matches"]

SLICE_CHARS = 2**14
_MAX_SLICE_CHARS = 2**17
"""A slice grows up to this length if a value, such as a token in base64, is longer than usual slices."""
_CONTEXT_CHARS = 256
"""How far a label or a neighbouring value can influence a finding. The rules read about 60 characters at most."""
_CHARS_WITH_PLACES = 2**11
_BORDERS = tuple(map(re.compile, (r"\n", r"\s", r"[,;|}\]]")))
_MAX_PLACES_TRIED = 6  # for each kind of border

_Find = Callable[[int, int], list[Finding]]
"""Returns the findings between two places of a text. Their own places are those in the text."""


def find_in_slices(text: str, find: _Find) -> list[Finding]:
    """What `find` finds in the whole text. It is called for at most SLICE_CHARS characters, except for long values."""
    found: list[Finding] = []
    for slice_findings in _slices(text, find):
        found += slice_findings
    return found


def find_matches(pattern: re.Pattern[str], text: str, longest_match: int) -> Iterator[re.Match[str]]:
    """The same as `pattern.finditer(text)`, for a pattern that reads at most `longest_match` characters.

    Each search reads about SLICE_CHARS characters: no other thread of Python can run during a search.
    """
    start = 0
    while start < len(text):
        end = start + SLICE_CHARS
        for match in pattern.finditer(text, start, end + longest_match):
            if match.start() >= end:
                break
            yield match
            start = match.end()
        start = max(start, end)


def _slices(text: str, find: _Find) -> Iterator[list[Finding]]:
    """The findings of each slice."""
    start = 0
    length = SLICE_CHARS
    while len(text) - start > length:
        end = start + length
        found = find(start, end)
        cut = _place_to_cut(text, end, found, find)
        if cut is None:
            if length < _MAX_SLICE_CHARS:
                length *= 2
                continue
            cut = _place_outside_findings(start, end, found)
        yield [each for each in found if each.end <= cut]
        start, length = cut, SLICE_CHARS
    yield find(start, len(text))


def _place_to_cut(text: str, end: int, found: list[Finding], find: _Find) -> int | None:
    """The last place before the context of `end` at which a cut changes nothing, or None."""
    last = end - _CONTEXT_CHARS
    first = last - _CHARS_WITH_PLACES
    near = [each for each in found if each.end > first - _CONTEXT_CHARS]
    for border in _BORDERS:
        places = [match.end() for match in border.finditer(text, first, last)]
        tried = 0
        for place in reversed(places):
            if any(each.start < place < each.end for each in near):
                continue
            if _cut_changes_nothing(place, end, near, find):
                return place
            tried += 1
            if tried == _MAX_PLACES_TRIED:
                break
    return None


def _cut_changes_nothing(place: int, end: int, found: list[Finding], find: _Find) -> bool:
    """Whether the text before `place` and the text up to `end` have the same findings when searched alone."""
    after = _kinds_and_places(find(place, end), place)
    if after != _kinds_and_places(found, place):
        return False
    # A finding at the beginning of this part may lack the text in front of it, so only the second half is compared.
    compared_from = place - _CONTEXT_CHARS // 2
    before = _kinds_and_places(find(place - _CONTEXT_CHARS, place), compared_from)
    return before == _kinds_and_places([each for each in found if each.end <= place], compared_from)


def _kinds_and_places(found: list[Finding], start: int) -> set[tuple[str, int, int]]:
    return {(each.kind, each.start, each.end) for each in found if each.start >= start}


def _place_outside_findings(start: int, end: int, found: list[Finding]) -> int:
    """The end of a slice, or the beginning of a finding that may continue there."""
    last = end - _CONTEXT_CHARS
    for each in found:
        if each.start < last < each.end and each.start > start:
            return each.start
    return last
