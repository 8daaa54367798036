"""Dates of birth: a date is one only when a label or the word that follows says so."""

import re
from collections.abc import Iterator

from security_common.pii.check_digits import is_date
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.reading import Reading, Rule

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
    + r"(?:,?(?:\s|-)(?P<y7>(?:19|20)?[0-9]{2}))?"
    r"|" + _MONTH.format("n8") + r"\s(?P<d8>[0-9]{1,2})(?:st|nd|rd|th)?(?:,?\s(?P<y8>(?:19|20)[0-9]{2}))?"
    r"|(?P<m9>[0-9]{1,2})(?:\s?월\s{0,2}|[-./])(?P<d9>[0-9]{1,2})(?:\s?일)?"
    r")(?![0-9A-SU-Za-z])(?![-./][0-9])",
    re.IGNORECASE,
)
_YEARS = [name for name in _DATE.groupindex if name.startswith("y")]
_REACH, _LONGEST = 28, 30
_BORN = re.compile(
    r"(?:출|에\s?(?:[가-힣]{1,8}에서\s)?|\(|이?\s?[제내]?\s?)?(?:생일|생(?![가-힣])|생(?:이|인|입|으|의|은|년)|태어)|[,/]\s?[남여](?![가-힣])"
)


def _find_dates_of_birth(reading: Reading) -> Iterator[Finding]:
    """A real day that is not ahead, called a birthday by the label before it or by what follows."""
    text, this_year = reading.text, reading.today.year
    for label in reading.labels.named("DATE_OF_BIRTH"):
        for match in _DATE.finditer(text, label.end, label.end + _REACH + _LONGEST):
            nearest = reading.labels.before(match.start())
            if nearest.start != label.start:
                break
            if _is_day(match, this_year) and (nearest.called or any(map(match.group, _YEARS))):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9 if nearest.called else 0.7, "label")
    for born in _BORN.finditer(text):
        for match in _DATE.finditer(text, max(0, born.start() - _LONGEST), born.end()):
            if (
                not text[match.end() : born.start()].strip(" .")
                and match.end() <= born.start()
                and _is_day(match, this_year)
            ):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9, "born")


def _is_day(match: re.Match[str], this_year: int) -> bool:
    parts: dict[str, str] = {name[0]: value for name, value in match.groupdict().items() if value}
    year = int(parts.get("y", 2000))  # a leap year: a birthday without its year may be 29 February
    if year < 100:
        year += 2000 if year <= this_year % 100 else 1900
    if year > this_year:
        return False
    if "n" in parts:
        return is_date(year, _MONTHS.index(parts["n"][:3].lower()) + 1, int(parts["d"]))
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"])
        return is_date(year, first, second) or is_date(year, second, first)
    if is_date(year, int(parts["m"]), int(parts["d"])):
        return True
    return "y" in parts and len(parts["y"]) == 2 and is_date(2000, int(parts["y"]), int(parts["m"]))  # 07/04/85


DATES_OF_BIRTH = Rule(r"생|태어|[0-9][,/]\s?[남여]|(?i:birth|born|dob|bday|d\.o\.b)", _find_dates_of_birth)
