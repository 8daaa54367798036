"""Runs of digits and the numbers that can be read out of them.

"call 010-1234-5678, 880101-1234567"
      one run: 010 - 1234 - 5678 , 880101 - 1234567 ──▶ every stretch of parts that stands by itself is a Number
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from security_common.pii.labels import OTHER, Label
from security_common.pii.reading import Reading

__all__ = ["Number", "Run", "runs_in"]

Part = tuple[int, int, str]

_DIGITS = re.compile("([0-9]+)")
_PLAIN_MARKS = frozenset("-./,_ ()")
# A comma or slash with a space beside it stands between two numbers, not inside one; so does a bullet on a new line.
_SEPARATOR = r"(?:[ \t]{0,2}[-.()ㅡ]{1,2}[ \t\r\n]{0,2}|[/,_]|[ \t\r\n]{1,2})"
_RUN = re.compile(rf"\+?[0-9]+(?:{_SEPARATOR}[0-9]+)*")
_ADJOINING = re.compile(r"[A-Za-z0-9_@]|-[A-Za-z0-9]")
_UNIT = re.compile(r"(?:원|달러|만\s?원|억|천\s?원|%|명|개|건|점|포인트)")
_FEWEST_DIGITS, _MOST_DIGITS, _MOST_PARTS = 7, 19, 8
_MANY_PARTS = 24  # a longer run is a table or an attack
_USUAL_SHAPES = frozenset(
    {(3, 4, 4), (3, 3, 4), (2, 3, 4), (2, 4, 4), (6, 7), (4, 4, 4, 4), (4, 6, 5), (3, 2, 5), (3, 2, 4), (2, 2, 6, 2)}
    | {(length,) for length in range(8, 20)}
)
_FEWEST_SINGLES = 9  # "0 1 0 1 2 3 4 5 6": so many lone digits in a row are one number spelled out


@dataclass
class Number:
    """A stretch of parts of a run: `parts` are their lengths, `joints` the marks between them, or spaces."""

    digits: str
    start: int
    end: int
    parts: tuple[int, ...]
    joints: str
    plus: bool
    reading: Reading = field(repr=False)

    @cached_property
    def label(self) -> Label | None:
        """The label that governs this number."""
        return self.reading.label_of(self.start, self.end)

    def labelled(self, *names: str) -> bool:
        """Whether the governing label is one of these."""
        return self.label is not None and self.label.name in names

    def called(self, *names: str) -> bool:
        """Whether it is directly called one of these."""
        return self.label is not None and self.label.direct and self.label.name in names

    @property
    def disowned(self) -> bool:
        """Whether it is directly called something that belongs to nobody."""
        return self.called(OTHER)


@dataclass(slots=True)
class Run:
    """Parts of digits with their places, and the marks between them. A run that touches a word is cut short there."""

    reading: Reading
    parts: list[Part]
    marks: list[str]
    plus: bool
    opens: bool
    closes: bool

    def numbers(self) -> Iterator[Number]:
        """Every stretch that stands by itself; in a long row of numbers only those of a usual shape."""
        count = len(self.parts)
        lengths = tuple(len(digits) for _, _, digits in self.parts)
        for first in range(count):
            if self.marks[first - 1] in "-_." if first else not self.opens:
                continue
            total = 0
            for last in range(first, min(first + _MOST_PARTS, count)):
                total += lengths[last]
                if total > _MOST_DIGITS:
                    break
                usual = count <= _MANY_PARTS or lengths[first : last + 1] in _USUAL_SHAPES
                if total >= _FEWEST_DIGITS and usual and self._closes_after(first, last):
                    yield self.number(first, last)

    def number(self, first: int, last: int) -> Number:
        """The number from one part to another, with the bracket that it closes inside itself."""
        text = self.reading.text
        parts = self.parts[first : last + 1]
        start, end = parts[0][0], parts[-1][1]
        plus = self.plus and first == 0
        start -= plus
        if start and text[start - 1] == "(" and ")" in text[start:end]:
            start -= 1
        digits = [part[2] for part in parts]
        joints = "".join(self.marks[first:last])
        return Number("".join(digits), start, end, tuple(map(len, digits)), joints, plus, self.reading)

    def _closes_after(self, first: int, last: int) -> bool:
        if last + 1 == len(self.parts):
            return self.closes and not (first == last and _UNIT.match(self.reading.text, self.parts[last][1]))
        mark = self.marks[last]
        if last == first:
            return mark not in "-_."
        return mark not in "-_" and (mark == " " or mark != self.marks[last - 1])


def runs_in(reading: Reading) -> Iterator[Run]:
    """The runs of a text that have digits enough for a number."""
    text = reading.text
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start < _FEWEST_DIGITS:
            continue
        pieces = _DIGITS.split(match.group())  # a plus sign or nothing, then digits and separators in turn
        place = start + len(pieces[0])
        parts: list[Part] = []
        marks: list[str] = []
        for digits, separator in zip(pieces[1::2], pieces[2::2], strict=True):
            parts.append((place, place + len(digits), digits))
            marks.append(separator if separator in _PLAIN_MARKS else separator.strip()[:1].replace("ㅡ", "-") or " ")
            place += len(digits) + len(separator)
        if len(parts) >= _FEWEST_SINGLES:
            parts, marks = _join_lone_digits(parts, marks)
        yield Run(reading, parts, marks, pieces[0] == "+", _opens(text, start), _ADJOINING.match(text, end) is None)


def _opens(text: str, start: int) -> bool:
    """No letter before, no code such as ORD-2024, no clock and no amount of money."""
    before = text[start - 1] if start else " "
    if before in "_$₩€£¥" or (before.isascii() and before.isalnum()):
        return False
    if before == "-":
        return not (start > 1 and text[start - 2].isascii() and text[start - 2].isalnum())
    return not (before == ":" and start > 1 and text[start - 2].isdigit())


def _join_lone_digits(parts: list[Part], marks: list[str]) -> tuple[list[Part], list[str]]:
    """Lone digits in a row become one part that spans the separators inside."""
    lone = [len(digits) == 1 for _, _, digits in parts]
    if sum(lone) < _FEWEST_SINGLES:
        return parts, marks
    joined, kept = [parts[0]], list[str]()
    for index in range(1, len(parts)):
        start, end, digits = parts[index]
        if lone[index] and lone[index - 1]:
            joined[-1] = (joined[-1][0], end, joined[-1][2] + digits)
        else:
            joined.append((start, end, digits))
            kept.append(marks[index - 1])
    return joined, kept
