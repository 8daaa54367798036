"""Dates of birth without a label, directly behind a person's name: 홍길동(1970.01.02), 김민지 / 710310 / 010-….

A date directly behind a name or identity document that other rules have found is one too. The date must be long past,
because the other dates behind a name (of an entry or a visit) are usually recent.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from security_common.pii.check_digits import is_calendar_date
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names import is_family_name, is_first_name
from security_common.pii.word_lists import read_lists

__all__ = ["GATE_BESIDE_NAMES", "find_birth_dates_beside_names", "with_birth_dates"]

_YOUNGEST_AGE, _OLDEST_AGE = 18, 100
_SURNAMES = read_lists("korean_names")["surnames"][0]
_KOREAN_NAME = (
    rf"(?P<korean>[{_SURNAMES}][가-힣]{{2,3}}?)(?:[ ]?(?:님|씨|귀하|환자|고객님?|회원님?|학생|군|양|어르신))?"
)
_LATIN_NAME = r"(?P<first>[A-Z][a-z]{1,14})[ ](?P<family>[A-Z][A-Za-z'\-]{1,19})"
# a bracket, or a separator of cells, with or without quotes
_CONNECTOR = r"(?:[ ]?\((?P<bracket>)|['\"]?[ ]{0,12}(?:[/,|;]|\t)[ ]{0,12}['\"]?|[ ]{2,12})"
_DATE = (
    r"(?P<date>(?:(?P<y1>19[0-9]{2}|20[0-9]{2})(?P<s>[-./]?)[ ]?(?P<m1>[0-9]{1,2})(?P=s)[ ]?(?P<d1>[0-9]{1,2})"
    r"|(?P<y2>[0-9]{2})(?P<s2>[-./]?)(?P<m2>[0-9]{2})(?P=s2)(?P<d2>[0-9]{2})))"
)
_END = r"(?:[ ]?생)?(?=['\"]?[ ]{0,12}(?:[)/,|;\t\n]|\s{2}|$))"
_BESIDE = re.compile(rf"(?<![가-힣A-Za-z])(?:{_KOREAN_NAME}|{_LATIN_NAME}){_CONNECTOR}{_DATE}{_END}")
_ALONE = re.compile(
    r"(?<![0-9A-Za-z.\-/])(?P<y1>19[0-9]{2}|20[0-9]{2})(?P<s>[-./])(?P<m1>[0-9]{2})(?P=s)(?P<d1>[0-9]{2})(?![0-9\-/T:]|\.[0-9])"
)
_BETWEEN = re.compile(r"['\"]?[ ]{0,4}(?:[,|;/\t][ ]{0,4}['\"]?|\()")
_KINDS_BEFORE_BIRTH_DATES = frozenset({PIIKind.PERSON, PIIKind.PASSPORT, PIIKind.DRIVER_LICENSE})
GATE_BESIDE_NAMES = (
    r"[가-힣A-Za-z'\-](?:[ ]?\(|['\"]?[ ]*[/,|;\t][ ]*['\"]?|[ ][ ]+)"
    r"(?:(?:19|20)[0-9]{2}[-./]?[ ]?[0-9]|[0-9]{2}[-./]?[0-9]{2}[-./]?[0-9]{2})"
)


def find_birth_dates_beside_names(source: LabelledText) -> Iterator[Finding]:
    """Dates of at least 18 years ago behind a name and a bracket or separator."""
    for match in _BESIDE.finditer(source.text):
        if _is_name(match) and _is_long_past(match, source.today.year):
            yield Finding(PIIKind.DATE_OF_BIRTH, *match.span("date"), 0.65, "neighbour")


def _is_name(match: re.Match[str]) -> bool:
    korean = match["korean"]
    if korean is None:
        return is_first_name(match["first"].lower()) and is_family_name(match["family"].lower())
    if is_listed_word(korean) or is_ordinary_word(korean):
        return False
    return korean[1:] in COMMON_GIVEN_NAMES or len(korean) == 3


def _is_long_past(match: re.Match[str], this_year: int) -> bool:
    if match["y1"] is not None:
        year, month, day = int(match["y1"]), int(match["m1"]), int(match["d1"])
    else:
        year, month, day = int(match["y2"]), int(match["m2"]), int(match["d2"])
        year += 2000 if year <= this_year % 100 else 1900
    return _YOUNGEST_AGE <= this_year - year <= _OLDEST_AGE and is_calendar_date(year, month, day)


def with_birth_dates(text: str, found: Sequence[Finding], this_year: int) -> list[Finding]:
    """`found`, which are findings of `text` in order, with the dates of birth directly behind names and documents."""
    if not any(each.kind in _KINDS_BEFORE_BIRTH_DATES for each in found):
        return list(found)
    ends = [each.end for each in found]
    added: list[Finding] = []
    for match in _ALONE.finditer(text):
        index = bisect_right(ends, match.start()) - 1
        if index < 0 or found[index].kind not in _KINDS_BEFORE_BIRTH_DATES:
            continue
        is_free = index + 1 == len(found) or found[index + 1].start >= match.end()
        is_beside = _BETWEEN.fullmatch(text, ends[index], match.start()) is not None
        if is_free and is_beside and _is_long_past(match, this_year):
            added.append(Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.6, "neighbour"))
    return sorted([*found, *added], key=attrgetter("start")) if added else list(found)
