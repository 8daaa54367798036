"""The written form of a placeholder, `[PHONE_7KQ2MZ]`: a kind of personal data, and an id without a meaning.

`security_common.tool_policy` replaces personal data by placeholders. The detector leaves them alone, so that a text
with placeholders passes every policy unchanged.

The characters of an id are chosen so that nothing else has this form by accident, and nothing can be hidden in it:

| rule                              | reason                                                     |
|-----------------------------------|------------------------------------------------------------|
| no 0, 1, I, L, O                  | they are confused with each other when a text is copied    |
| no vowels, at least one digit     | `[PHONE_NUMBER]` and other variables of templates differ   |
| six characters, at least a letter | no number of personal data fits; a date of birth has 0 or 1 |
"""

import re
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from security_common.pii.finding import Finding, PIIKind

__all__ = ["Placeholder", "find_placeholders", "new_placeholder", "without_placeholders"]

_DIGITS, _LETTERS = "23456789", "BCDFGHJKMNPQRSTVWXZ"
_ID_LENGTH = 6
_FORM = re.compile(rf"\[([A-Z][A-Z0-9_]{{1,39}})_([{_DIGITS}{_LETTERS}]{{{_ID_LENGTH}}})\]")
_KINDS = frozenset(PIIKind)
_MIN_CHARACTERS = 2  # fewer letters and digits beside a placeholder are not personal data


class Placeholder(NamedTuple):
    """A placeholder at `text[start:end]` of a text."""

    kind: PIIKind
    start: int
    end: int


def new_placeholder(kind: PIIKind) -> str:
    """A random placeholder. Each kind has about 340 million, so the caller excludes those in use."""
    while True:
        name = "".join(secrets.choice(_DIGITS + _LETTERS) for _ in range(_ID_LENGTH))
        if _has_digit_and_letter(name):
            return f"[{kind}_{name}]"


def find_placeholders(text: str) -> Iterator[Placeholder]:
    """Every text of the form of a placeholder. Only the store has the value that it replaces, if there is one."""
    if "[" not in text:
        return
    for match in _FORM.finditer(text):
        kind, name = match.groups()
        if kind in _KINDS and _has_digit_and_letter(name):
            yield Placeholder(PIIKind(kind), *match.span())


def without_placeholders(findings: list[Finding], text: str) -> list[Finding]:
    """The findings without the parts of the text that are placeholders. A finding around one becomes two."""
    if not findings or "[" not in text:
        return findings
    placeholders = list(find_placeholders(text))
    if not placeholders:
        return findings
    starts, ends = [each.start for each in placeholders], [each.end for each in placeholders]
    parts: list[Finding] = []
    for finding in findings:
        first, after_last = bisect_right(ends, finding.start), bisect_left(starts, finding.end)
        parts += _parts_beside(finding, text, placeholders[first:after_last])
    return parts


def _parts_beside(finding: Finding, text: str, overlapping: list[Placeholder]) -> Iterator[Finding]:
    if not overlapping:
        yield finding
        return
    start = finding.start
    for end, next_start in [*((each.start, each.end) for each in overlapping), (finding.end, finding.end)]:
        characters = sum(map(str.isalnum, text[start:end]))
        if characters >= _MIN_CHARACTERS:
            yield finding._replace(start=start, end=end)
        start = next_start


def _has_digit_and_letter(name: str) -> bool:
    return not name.isalpha() and not name.isdigit()
