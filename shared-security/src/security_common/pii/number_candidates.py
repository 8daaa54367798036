"""Runs of digits and the numbers that can be read out of them.

"call 010-1234-5678, 880101-1234567"
      one run: 010 - 1234 - 5678 , 880101 - 1234567 ──▶ every stretch of parts that stands by itself is a Number
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from security_common.pii.reading import Reading

__all__ = ["Number", "numbers_in"]

Part = tuple[int, int, str]

_DIGITS = re.compile("([0-9]+)")
_PLAIN_MARKS = frozenset("-./,_ ()")
# A comma or slash with a space beside it stands between two numbers, not inside one; so does a bullet on a new line.
_SEPARATOR = r"(?:[ \t]{0,2}[-.()ㅡ]{1,2}[ \t\r\n]{0,2}|[/,_]|[ \t\r\n]{1,2})"
_RUN = re.compile(rf"[+0-9](?:(?<=[0-9])|(?=[0-9]))[0-9]*(?:{_SEPARATOR}[0-9]+)*")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_ADJOINING = re.compile(r"[A-Za-z0-9_@]|-[A-Za-z0-9]")
_UNIT = re.compile(r"(?:원|달러|만\s?원|억|천\s?원|%|명|개|건|점|포인트)")
_FEWEST_DIGITS, _MOST_DIGITS, _MOST_PARTS = 7, 19, 8
_MANY_PARTS = 24  # a longer run is a table or an attack
_USUAL_SHAPES = frozenset(
    {(3, 4, 4), (3, 3, 4), (2, 3, 4), (2, 4, 4), (6, 7), (4, 4, 4, 4), (4, 6, 5), (3, 2, 5), (3, 2, 4), (2, 2, 6, 2)}
    | {(length,) for length in range(8, 20)}
)
_FEWEST_SINGLES = 9  # "0 1 0 1 2 3 4 5 6": so many lone digits in a row are one number spelled out


class Number(NamedTuple):
    """A stretch of parts of a run: `parts` are their lengths, `joints` the marks between them, or spaces.

    `labelled` is the name of the label that governs it, `called` the same if the label is a direct one; else nothing.
    """

    digits: str
    start: int
    end: int
    parts: tuple[int, ...]
    joints: str
    plus: bool
    labelled: str
    called: str
    reading: Reading


def numbers_in(reading: Reading) -> Iterator[Number]:
    """Every stretch of digits that stands by itself; in a long row of numbers only those of a usual shape."""
    text = reading.text
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start < _FEWEST_DIGITS or _THOUSANDS.fullmatch(match.group()):
            continue
        plus, parts, marks = _split(start, match.group())
        opens, closes = _opens(text, start), _ADJOINING.match(text, end) is None
        for first, last in _stretches(parts, marks, opens=opens, closes=closes):
            if first < last or last + 1 < len(parts) or not _UNIT.match(text, end):
                yield _number(reading, parts[first : last + 1], marks[first:last], plus=plus and first == 0)


def _stretches(parts: list[Part], marks: list[str], *, opens: bool, closes: bool) -> Iterator[tuple[int, int]]:
    """The first and last parts of every stretch that can be a number."""
    count = len(parts)
    for first in range(count):
        if marks[first - 1] in "-_." if first else not opens:
            continue
        total = 0
        for last in range(first, min(first + _MOST_PARTS, count)):
            total += len(parts[last][2])
            if total > _MOST_DIGITS:
                break
            if total < _FEWEST_DIGITS or not (closes if last + 1 == count else _closes(marks, first, last)):
                continue
            if count <= _MANY_PARTS or tuple(len(part[2]) for part in parts[first : last + 1]) in _USUAL_SHAPES:
                yield first, last


def _number(reading: Reading, parts: list[Part], marks: list[str], *, plus: bool) -> Number:
    """With its plus sign, and the bracket that it closes inside itself."""
    start, end, joints = parts[0][0] - plus, parts[-1][1], "".join(marks)
    if ")" in joints and start and reading.text[start - 1] == "(":
        start -= 1
    label = reading.label_of(start, end)
    digits = [part[2] for part in parts]
    return Number("".join(digits), start, end, tuple(map(len, digits)), joints, plus, label.name, label.called, reading)


def _closes(marks: list[str], first: int, last: int) -> bool:
    mark = marks[last]
    if last == first:
        return mark not in "-_."
    return mark not in "-_" and (mark == " " or mark != marks[last - 1])


def _split(start: int, run: str) -> tuple[bool, list[Part], list[str]]:
    """Whether a plus sign stands before, the parts with their places, and the marks after them."""
    head, *pieces = _DIGITS.split(run)  # a plus sign or nothing, then digits and separators in turn
    place = start + len(head)
    parts: list[Part] = []
    marks: list[str] = []
    for digits, separator in zip(pieces[::2], pieces[1::2], strict=True):
        parts.append((place, place + len(digits), digits))
        marks.append(separator if separator in _PLAIN_MARKS else separator.strip()[:1].replace("ㅡ", "-") or " ")
        place += len(digits) + len(separator)
    if len(parts) >= _FEWEST_SINGLES:
        parts, marks = _join_lone_digits(parts, marks)
    return head == "+", parts, marks


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
