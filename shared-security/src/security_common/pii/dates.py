"""Dates of birth: a date is one only when a label or the word that follows says so."""

import re
from collections.abc import Iterator

from security_common.pii.checks import is_date
from security_common.pii.finding import PIIKind
from security_common.pii.reading import Candidate, Reading, Rule

__all__ = ["DATES_OF_BIRTH"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<{}>(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{{0,6}})\.?"
_DATE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][-./])(?:"
    r"(?P<y1>(?:19|20)?[0-9]{2})\s?년\s{0,2}(?P<m1>[0-9]{1,2})\s?월\s{0,2}(?P<d1>[0-9]{1,2})\s?일"
    r"|(?P<y2>(?:18|19|20)[0-9]{2})\s?[-./]\s?(?P<m2>[0-9]{1,2})\s?[-./]\s?(?P<d2>[0-9]{1,2})"
    r"|(?P<a>[0-9]{1,2})\s?[-./]\s?(?P<b>[0-9]{1,2})\s?[-./]\s?(?P<y3>(?:19|20)[0-9]{2})"
    r"|(?P<y4>[0-9]{2})\s?[-./]\s?(?P<m4>[0-9]{1,2})\s?[-./]\s?(?P<d4>[0-9]{1,2})"
    r"|(?P<y5>(?:19|20)[0-9]{2})(?P<m5>[0-9]{2})(?P<d5>[0-9]{2})|(?P<y6>[0-9]{2})(?P<m6>[0-9]{2})(?P<d6>[0-9]{2})"
    r"|(?P<d7>[0-9]{1,2})(?:st|nd|rd|th)?(?:\s|-)(?:of\s)?"
    + _MONTH.format("n7")
    + r",?(?:\s|-)(?P<y7>(?:19|20)[0-9]{2})"
    r"|" + _MONTH.format("n8") + r"\s(?P<d8>[0-9]{1,2})(?:st|nd|rd|th)?,?\s(?P<y8>(?:19|20)[0-9]{2})"
    r")(?![0-9A-Za-z])(?![-./][0-9])",
    re.IGNORECASE,
)
_BORN_AFTER = re.compile(
    r"\.?\s?(?:생(?![산성각활명기일])|출생|에?\s?태어|일생(?!활)|\(?생일|이?\s?(?:제\s?|내\s?)?생일)"
)


def _find_dates_of_birth(reading: Reading) -> Iterator[Candidate]:
    """A real day that is not ahead, called a birthday."""
    text = reading.text
    for match in _DATE.finditer(text):
        label = reading.labels.before(match.start())
        labelled = label is not None and label.name == "DATE_OF_BIRTH"
        followed = _BORN_AFTER.match(text, match.end()) is not None
        if (labelled or followed) and _is_day(match, reading.today.year):
            direct = followed or (label is not None and label.direct)
            yield Candidate(PIIKind.DATE_OF_BIRTH, match.start(), match.end(), 0.9 if direct else 0.7, "label")


def _is_day(match: re.Match[str], this_year: int) -> bool:
    parts: dict[str, str] = {name[0]: value for name, value in match.groupdict().items() if value}
    year = int(parts["y"])
    if year < 100:
        year += 2000 if year <= this_year % 100 else 1900
    if year > this_year:
        return False
    if "n" in parts:
        return is_date(year, _MONTHS.index(parts["n"][:3].lower()) + 1, int(parts["d"]))
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"])
        return is_date(year, first, second) or is_date(year, second, first)
    return is_date(year, int(parts["m"]), int(parts["d"]))


DATES_OF_BIRTH = Rule(r"생|출생|태어|(?i:birth|born|dob|bday|d\.o\.b)", _find_dates_of_birth)
