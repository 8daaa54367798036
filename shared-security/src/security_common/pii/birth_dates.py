"""Dates of birth. A date is one only if a label before it or a word after it says so."""

import re
from collections.abc import Iterator

from security_common.pii.check_digits import is_calendar_date
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule

__all__ = ["DATES_OF_BIRTH"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _month_name(group: str) -> str:
    return rf"(?P<{group}>(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{{0,6}})\.?"


# The first letter of a group's name says what it is: y(ear), m(onth), d(ay), n(ame of the month); a and b are month and
# day in either order. The number only makes the names differ.
_DATE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][-./])(?:"
    # 1988년 1월 1일
    r"(?P<y1>(?:19|20)?[0-9]{2})\s?년\s{0,2}(?P<m1>[0-9]{1,2})\s?월\s{0,2}(?P<d1>[0-9]{1,2})\s?일"
    # 1988-01-01, 1988. 1. 1, 1988/1/1
    r"|(?P<y2>(?:18|19|20)[0-9]{2})\s?[-./]\s?(?P<m2>[0-9]{1,2})\s?[-./]\s?(?P<d2>[0-9]{1,2})"
    # 01/02/1988
    r"|(?P<a>[0-9]{1,2})\s?[-./]\s?(?P<b>[0-9]{1,2})\s?[-./]\s?(?P<y3>(?:19|20)[0-9]{2})"
    # 88-01-01
    r"|(?P<y4>[0-9]{2})\s?[-./]\s?(?P<m4>[0-9]{1,2})\s?[-./]\s?(?P<d4>[0-9]{1,2})"
    # 19880101, 880101
    r"|(?P<y5>(?:19|20)[0-9]{2})(?P<m5>[0-9]{2})(?P<d5>[0-9]{2})|(?P<y6>[0-9]{2})(?P<m6>[0-9]{2})(?P<d6>[0-9]{2})"
    # 1st of January 1988
    r"|(?P<d7>[0-9]{1,2})(?:st|nd|rd|th)?(?:\s|-)(?:of\s)?"
    + _month_name("n7")
    + r"(?:,?(?:\s|-)(?P<y7>(?:19|20)?[0-9]{2}))?"
    # January 1st, 1988
    r"|" + _month_name("n8") + r"\s(?P<d8>[0-9]{1,2})(?:st|nd|rd|th)?(?:,?\s(?P<y8>(?:19|20)[0-9]{2}))?"
    # 1월 1일, 1/1
    r"|(?P<m9>[0-9]{1,2})(?:\s?월\s{0,2}|[-./])(?P<d9>[0-9]{1,2})(?:\s?일)?"
    # not followed by a letter (but the T of an ISO 8601 time) or by more digits
    r")(?![0-9A-SU-Za-z])(?![-./][0-9])",
    re.IGNORECASE,
)
_YEAR_GROUPS = [name for name in _DATE.groupindex if name.startswith("y")]
_MOST_CHARS_AFTER_LABEL, _LONGEST_DATE = 28, 30
# After a date: 1988년 1월 1일생, 88.1.1 출생, 1월 1일이 제 생일, 1988-01-01에 태어난; or a sex: 88.1.1/남
_BORN = re.compile(
    r"(?:출|에\s?(?:[가-힣]{1,8}에서\s)?|\(|이?\s?[제내]?\s?)?(?:생일|생(?![가-힣])|생(?:이|인|입|으|의|은|년)|태어)"
    r"|[,/]\s?[남여](?![가-힣])"
)


def _find_dates_of_birth(source: LabelledText) -> Iterator[Finding]:
    """Dates that exist and are not in a later year than today, after a label or before a word such as 생."""
    yield from _find_after_labels(source)
    yield from _find_before_born(source)


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    for label in source.labels.of_kind("DATE_OF_BIRTH"):
        end_of_search = label.end + _MOST_CHARS_AFTER_LABEL + _LONGEST_DATE
        for match in _DATE.finditer(source.text, label.end, end_of_search):
            nearest = source.labels.before(match.start())
            if nearest.start != label.start:
                break
            is_adjacent = bool(nearest.adjacent_kind)
            has_year = any(map(match.group, _YEAR_GROUPS))
            if _is_past_date(match, source.today.year) and (is_adjacent or has_year):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9 if is_adjacent else 0.7, "label")


def _find_before_born(source: LabelledText) -> Iterator[Finding]:
    text = source.text
    for born in _BORN.finditer(text):
        for match in _DATE.finditer(text, max(0, born.start() - _LONGEST_DATE), born.end()):
            is_directly_before = match.end() <= born.start() and not text[match.end() : born.start()].strip(" .")
            if is_directly_before and _is_past_date(match, source.today.year):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9, "born")


def _is_past_date(match: re.Match[str], this_year: int) -> bool:
    """Whether a match of _DATE is a calendar date of this year or an earlier one."""
    parts: dict[str, str] = {name[0]: value for name, value in match.groupdict().items() if value}
    year = int(parts.get("y", 2000))  # without a year, 29 February is accepted: 2000 was a leap year
    if year < 100:
        year += 2000 if year <= this_year % 100 else 1900
    if year > this_year:
        return False
    if "n" in parts:
        return is_calendar_date(year, _MONTHS.index(parts["n"][:3].lower()) + 1, int(parts["d"]))
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"])
        return is_calendar_date(year, first, second) or is_calendar_date(year, second, first)
    if is_calendar_date(year, int(parts["m"]), int(parts["d"])):
        return True
    # 07/04/85 matched as year, month and day; read it as month, day and year.
    return "y" in parts and len(parts["y"]) == 2 and is_calendar_date(2000, int(parts["y"]), int(parts["m"]))


DATES_OF_BIRTH = Rule(r"생|태어|[0-9][,/]\s?[남여]|(?i:birth|born|dob|bday|d\.o\.b)", _find_dates_of_birth)
