"""Finds runs of digits and the numbers that can be read out of them.

    "call 010-1234-5678, 880101-1234567"

is one run with the parts 010, 1234, 5678, 880101 and 1234567 and separators between them. Each sequence of parts that
can be a number of its own becomes a NumberCandidate.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from security_common.pii.check_digits import is_calendar_date
from security_common.pii.finding import PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.value_surroundings import has_currency_before, is_in_path_or_url, is_item_of_list

__all__ = ["NUMBER_GATE", "NumberCandidate", "Recognition", "find_number_candidates", "is_timestamp"]

Recognition = tuple[PIIKind, float, str] | None
"""What a rule for numbers returns: kind, score and reason, or None if it does not recognize the number."""


class _Part(NamedTuple):
    """A part of a run: its place, and the number of its digits."""

    start: int
    end: int
    digits: int


_DIGITS_AND_SEPARATOR = re.compile("([0-9]+)([^0-9]*)")
_ZERO_FOR_DIGIT = str.maketrans("123456789", "000000000")
_WITHOUT_SEPARATORS = str.maketrans("", "", "-.()ㅡ~ \t\r\n/,_")
_PLAIN_SEPARATORS = frozenset(["", *"-./,_ ()"])
# A comma or slash with a space beside it is between two numbers, not inside one; so is a bullet on a new line.
_SEPARATOR = r"(?:[ \t]{0,2}[-.()ㅡ~]{1,2}[ \t\r\n]{0,2}|[/,_]|[ \t\r\n]{1,2})"
# The character class comes first and the look-around after it, so that the engine skips to digits quickly. A plus sign
# begins a run only before a digit.
_RUN = re.compile(rf"[+0-9](?:(?<=[0-9])|(?=[0-9]))[0-9]*(?:{_SEPARATOR}[0-9]+)*")
NUMBER_GATE = r"[0-9](?:[-.()ㅡ~ \t\r\n/,_]*[0-9]){7}"
"""Eight digits with nothing but separators between them."""
_AMOUNT = re.compile(r"(?<![0-9,])[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9,])")  # 1,234,567.89
_ADJOINING = re.compile(r"[A-Za-z0-9_@]|-[A-Za-z0-9]")
_UNIT = re.compile(
    r"(?:원|달러|만\s?원|억|천\s?원|%|명|개|건|점|포인트|바이트)"
    r"|\s(?:만|억|천)?\s?원(?![가-힣])|\s원(?:입|이|을|은|의|에|정|씩|짜리)"
    r"|\s?(?:KRW|USD|EUR|JPY|CNY|GBP|bytes?|[KMGT]i?B|ms|us|ns|sec|seconds|rows|tokens)(?![A-Za-z0-9])"
)
_FIRST_CHARS_OF_UNITS = frozenset("원달만억천%명개건점포바 \t\nKUEJCGbBMTmunsrt")
_AMOUNT_SEPARATORS = frozenset(" ,")  # between the parts of an amount
_GROUPING_OF_DATE = (4, 2, 2)
_PARTS_OF_DECIMAL = 2  # 4.539578763621486
_MAX_CHARS_OF_AMOUNT = 32
_MIN_DIGITS, _MAX_DIGITS, _MAX_PARTS = 8, 19, 8
_MAX_REMEMBERED_LENGTH, _MAX_FORMS_REMEMBERED = 40, 1024
_LONG_RUN_PARTS = 24  # a run with more parts is a table or an attack: only usual groupings are read from it
_USUAL_GROUPINGS = frozenset(
    {(3, 4, 4), (3, 3, 4), (2, 3, 4), (2, 4, 4), (6, 7), (4, 4, 4, 4), (4, 6, 5), (3, 2, 5), (3, 2, 4), (2, 2, 6, 2)}
    | {(3, 3, 3, 2), (1, 4, 5, 2, 1), (1, 2, 2, 2, 3, 3, 2), (4, 4, 4), (3, 3, 3), (2, 3, 3, 3), (6, 8, 4)}
    | {(length,) for length in range(8, 20)}
)
_EPOCH_PREFIXES = frozenset({"15", "16", "17", "18", "19"})
_MIN_SINGLE_DIGITS = 9  # "0 1 0 1 2 3 4 5 6": at least this many single digits in a row are one number


class NumberCandidate(NamedTuple):
    """A sequence of parts of a run.

    `grouping` has the lengths of the parts, `separators` one character for each gap between them. `label_kind` is the
    kind of the label that belongs to the number; `adjacent_label_kind` is the same if that label is adjacent. Both may
    be empty. `is_in_series` is whether a part of the same length, with the same separator, is before or after the
    number, which then is probably one of many in a row.
    """

    digits: str
    start: int
    end: int
    grouping: tuple[int, ...]
    separators: str
    has_plus: bool
    label_kind: str
    adjacent_label_kind: str
    is_in_series: bool
    source: LabelledText

    def is_whole_value(self) -> bool:
        """Whether nothing around the number says that it is a part of a path, a URL or a list of numbers."""
        text, start, end = self.source.text, self.start, self.end
        return not (self.is_in_series or is_in_path_or_url(text, start, end) or is_item_of_list(text, start, end))


def is_timestamp(number: NumberCandidate) -> bool:
    """Whether digits are seconds or milliseconds since 1970 (2017 to 2033), or begin with a date, as YYYYMMDD.

    The date is one of 1990 to 2050.
    """
    digits = number.digits
    if number.grouping in {(10,), (13,)} and digits[:2] in _EPOCH_PREFIXES:
        return True
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return 1990 <= year <= 2050 and is_calendar_date(year, month, day)


class _NumberForm(NamedTuple):
    """A sequence of parts that can be a number, as far as the form of its run decides that.

    `start` is the place of the first digit and `end` that of the last, counted from the start of the run. `begins_run`
    and `ends_run` are whether nothing of the run is before or after the sequence. The other members are those of
    NumberCandidate, and what `_is_amount_or_date` needs.
    """

    start: int
    end: int
    grouping: tuple[int, ...]
    separators: str
    has_plus: bool
    is_in_series: bool
    begins_run: bool
    ends_run: bool
    may_be_amount: bool
    is_date: bool
    is_decimal: bool
    has_comma: bool


def find_number_candidates(source: LabelledText) -> Iterator[NumberCandidate]:
    """Every sequence of parts that can be a number of its own; in a long run only those with a usual grouping."""
    text = source.text
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start < _MIN_DIGITS:
            continue
        form_of_run = match.group().translate(_ZERO_FOR_DIGIT)
        is_short = end - start <= _MAX_REMEMBERED_LENGTH
        forms = _remembered_forms(form_of_run) if is_short else _number_forms(form_of_run)
        if not forms:
            continue
        may_begin, may_end = _may_begin_number(text, start), _ADJOINING.match(text, end) is None
        for form in forms:
            if (may_begin or not form.begins_run) and (may_end or not form.ends_run):
                digits = text[start + form.start : start + form.end].translate(_WITHOUT_SEPARATORS)
                if not _is_amount_or_date(text, start, form, digits):
                    yield _candidate(source, start, form, digits)


def _number_forms(form_of_run: str) -> tuple[_NumberForm, ...]:
    """The sequences that can be numbers in a run of this form, which has 0 for every digit."""
    has_comma = "," in form_of_run
    if has_comma and _AMOUNT.fullmatch(form_of_run):
        return ()
    parts, separators = _split(form_of_run)
    lengths = [part.digits for part in parts]
    if sum(lengths) < _MIN_DIGITS:
        return ()
    forms: list[_NumberForm] = []
    for first, last in _sequences(lengths, separators):
        grouping, inner_separators = tuple(lengths[first : last + 1]), separators[first:last]
        forms.append(
            _NumberForm(
                start=parts[first].start,
                end=parts[last].end,
                grouping=grouping,
                separators=inner_separators,
                has_plus=first == 0 and form_of_run[0] == "+",
                is_in_series=len(grouping) < len(parts) and _is_in_series(lengths, separators, first, last),
                begins_run=first == 0,
                ends_run=last == len(parts) - 1,
                may_be_amount=_AMOUNT_SEPARATORS.issuperset(inner_separators),
                is_date=grouping == _GROUPING_OF_DATE,
                is_decimal=len(grouping) == _PARTS_OF_DECIMAL and inner_separators in ".,",
                has_comma=has_comma,
            )
        )
    return tuple(forms)


_remembered_forms = lru_cache(maxsize=_MAX_FORMS_REMEMBERED)(_number_forms)
"""The form of a run has none of its digits, so that no personal data is remembered."""


def _is_amount_or_date(text: str, start: int, form: _NumberForm, digits: str) -> bool:
    """Whether a sequence is a number before a unit, a decimal, a part of an amount, or a date."""
    end = start + form.end
    if form.has_comma and _is_part_of_amount(text, start + form.start, end):
        return True
    if form.ends_run and text[end : end + 1] in _FIRST_CHARS_OF_UNITS and _UNIT.match(text, end):
        return form.may_be_amount
    if form.is_decimal:
        return form.grouping[0] == 1 or not digits.startswith("01")
    return form.is_date


def _is_part_of_amount(text: str, start: int, end: int) -> bool:
    """Whether a number with two or more thousands separators overlaps `text[start:end]`."""
    first = max(0, start - _MAX_CHARS_OF_AMOUNT)
    for match in _AMOUNT.finditer(text, first, end + _MAX_CHARS_OF_AMOUNT):
        if match.group().count(",") > 1 and match.start() < end and start < match.end():
            return True
    return False


def _sequences(lengths: Sequence[int], separators: str) -> Iterator[tuple[int, int]]:
    """The indexes of the first and the last part of every sequence that can be a number."""
    count, left = len(lengths), sum(lengths)
    for first, length in enumerate(lengths):
        if left < _MIN_DIGITS:
            break
        left -= length
        if first > 0 and separators[first - 1] in "-_.":
            continue
        digit_count = 0
        for last in range(first, min(first + _MAX_PARTS, count)):
            digit_count += lengths[last]
            if digit_count > _MAX_DIGITS:
                break
            if digit_count < _MIN_DIGITS:
                continue
            ends_here = last + 1 == count or _ends_before_separator(separators, first, last)
            if ends_here and (count <= _LONG_RUN_PARTS or tuple(lengths[first : last + 1]) in _USUAL_GROUPINGS):
                yield first, last


def _candidate(source: LabelledText, start_of_run: int, form: _NumberForm, digits: str) -> NumberCandidate:
    """Includes the plus sign, and the opening bracket whose closing bracket is one of the separators."""
    start, end = start_of_run + form.start - form.has_plus, start_of_run + form.end
    if ")" in form.separators and start and source.text[start - 1] == "(":
        start -= 1
    label = source.label_of(start, end)
    return NumberCandidate(
        digits,
        start,
        end,
        form.grouping,
        form.separators,
        form.has_plus,
        label.kind,
        label.adjacent_kind,
        form.is_in_series,
        source,
    )


def _is_in_series(lengths: Sequence[int], separators: str, first: int, last: int) -> bool:
    """Whether the part before or after has the same length and the same separator as those of the sequence."""
    if first == last:
        return False
    follows = first > 0 and separators[first - 1] == separators[first] and lengths[first - 1] == lengths[first]
    precedes = last + 1 < len(lengths) and separators[last] == separators[last - 1]
    return follows or (precedes and lengths[last + 1] == lengths[last])


def _ends_before_separator(separators: str, first: int, last: int) -> bool:
    """Whether a number can end at part `last`: a hyphen there, or the separator used inside, continues the number."""
    separator = separators[last]
    if last == first:
        return separator not in "-_."
    return separator not in "-_" and (separator in " \n" or separator != separators[last - 1])


def _split(form_of_run: str) -> tuple[list[_Part], str]:
    """The parts of a run, and one character for the separator between each two of them."""
    place = int(form_of_run.startswith("+"))
    parts: list[_Part] = []
    separators: list[str] = []
    for digits, separator in _DIGITS_AND_SEPARATOR.findall(form_of_run):
        end = place + len(digits)
        parts.append(_Part(place, end, len(digits)))
        place = end + len(separator)
        separators.append(separator if separator in _PLAIN_SEPARATORS else _main_character(separator))
    if len(parts) >= _MIN_SINGLE_DIGITS:
        parts, separators = _join_single_digits(parts, separators)
    return parts, "".join(separators)


def _main_character(separator: str) -> str:
    """The punctuation of a separator of several characters, or its blank."""
    blank = "\n" if "\n" in separator else " "
    return separator.strip()[:1].replace("ㅡ", "-") or blank


def _may_begin_number(text: str, start: int) -> bool:
    """False after a letter, inside a code such as ORD-2024, in a time of day and in an amount of money."""
    if start == 0:
        return True
    if has_currency_before(text, start):
        return False
    before = text[start - 1]
    before_that = text[start - 2] if start > 1 else " "
    if before == "_" or (before.isascii() and before.isalnum()):
        return False
    if before == "-":
        return not (before_that.isascii() and before_that.isalnum())
    return not (before == ":" and before_that.isdigit())


def _join_single_digits(parts: list[_Part], separators: list[str]) -> tuple[list[_Part], list[str]]:
    """Joins single digits in a row to one part that spans the separators between them."""
    is_single = [part.digits == 1 for part in parts]
    if sum(is_single) < _MIN_SINGLE_DIGITS:
        return parts, separators
    joined = [parts[0]]
    kept_separators: list[str] = []
    for index in range(1, len(parts)):
        part = parts[index]
        if is_single[index] and is_single[index - 1]:
            joined[-1] = _Part(joined[-1].start, part.end, joined[-1].digits + 1)
        else:
            joined.append(part)
            kept_separators.append(separators[index - 1])
    return joined, kept_separators
