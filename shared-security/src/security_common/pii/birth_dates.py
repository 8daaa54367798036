"""Dates of birth. A date is one only if a label before it or a word after it says so."""

import re
from collections.abc import Iterator

from security_common.pii.birth_dates_beside_names import GATE_BESIDE_NAMES, find_birth_dates_beside_names
from security_common.pii.check_digits import is_calendar_date
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import Label, LabelledText, any_label
from security_common.pii.rules import Rule

__all__ = ["DATES_OF_BIRTH"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _month_name(group: str) -> str:
    return rf"(?P<{group}>(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{{0,6}})\.?"


# The first letter of a group's name says what it is: y(ear), m(onth), d(ay), n(ame of the month); a and b are month and
# day in either order. The number only makes the names differ.
_DATE = re.compile(
    r"(?=[0-9JFMASOND])(?<![0-9A-Za-z])(?<![0-9][-./])(?:"
    # 1988년 1월 1일
    r"(?P<y1>(?:1[0-9]|20)?[0-9]{2})\s?년\s{0,2}(?P<m1>[0-9]{1,2})\s?월\s{0,2}(?P<d1>[0-9]{1,2})\s?일"
    # 1988-01-01, 1988. 1. 1, 1988/1/1
    r"|(?P<y2>(?:1[0-9]|20)[0-9]{2})\s?[-./]\s?(?P<m2>[0-9]{1,2})\s?[-./]\s?(?P<d2>[0-9]{1,2})"
    # 01/02/1988
    r"|(?P<a>[0-9]{1,2})\s?[-./]\s?(?P<b>[0-9]{1,2})\s?[-./]\s?(?P<y3>(?:19|20)[0-9]{2})"
    # 88-01-01
    r"|(?P<y4>[0-9]{2})\s?[-./]\s?(?P<m4>[0-9]{1,2})\s?[-./]\s?(?P<d4>[0-9]{1,2})"
    # 19880101, 880101
    r"|(?P<y5>(?:19|20)[0-9]{2})(?P<m5>[0-9]{2})(?P<d5>[0-9]{2})|(?P<y6>[0-9]{2})(?P<m6>[0-9]{2})(?P<d6>[0-9]{2})"
    # 1st of January 1988
    r"|(?P<d7>[0-9]{1,2})(?:st|nd|rd|th)?(?:\s|-)(?:of\s)?"
    + _month_name("n7")
    + r"(?:,?(?:\s|-)(?P<y7>(?:1[0-9]|20)?[0-9]{2}))?"
    # January 1st, 1988
    r"|" + _month_name("n8") + r"\s(?P<d8>[0-9]{1,2})(?:st|nd|rd|th)?(?:,?\s(?P<y8>(?:1[0-9]|20)[0-9]{2}))?"
    # 1월 1일, 1/1
    r"|(?P<m9>[0-9]{1,2})(?:\s?월\s{0,2}|[-./])(?P<d9>[0-9]{1,2})(?:\s?일)?"
    r")"
    # a time of ISO 8601; then neither a letter nor more digits
    r"(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"(?![0-9A-Za-z])(?![-./][0-9])",
    re.IGNORECASE,
)
_YEAR_GROUPS = [name for name in _DATE.groupindex if name.startswith("y")]
_MAX_CHARS_AFTER_LABEL, _MAX_DATE_LENGTH = 28, 36
_OLDEST_AGE, _YOUNGEST_IN_CHAT = 120, 10
# Words between a label and a date that is about something else: 생일 쿠폰 유효기간, birthday party on
_OTHER_SUBJECT = re.compile(
    r"쿠폰|파티|이벤트|선물|할인|혜택|케이크|기념|축하|적립|신고|증명|여행|행사"
    r"|certificate|party|coupon|gift|cake|promo|discount|sale|celebrat|event|dinner|voucher"
)
_AFTER_LABEL = r"(?:은|는|이)?[\"'\])]{0,2}[ ]?(?:\([^()\n]{1,16}\))?[\s:=|\"'\-]{0,4}"
# 생일: 음력 1월 1일, 생년월일 (음)1988.1.1
_CALENDAR = re.compile(rf"{_AFTER_LABEL}[(\[]?(?:음력|양력|음|양|윤달|lunar|solar)[)\]]?[\s:.]{{0,3}}")
# 천구백팔십팔년 유월 이일, 팔팔년 시월 십오일
_NUMERAL = "[공영일이삼사오육칠팔구십백천]"
_DATE_IN_WORDS = re.compile(
    rf"{_AFTER_LABEL}(?P<date>{_NUMERAL}{{2,8}}\s?년\s?(?:{_NUMERAL}{{1,2}}|유|시)월\s?{_NUMERAL}{{1,3}}일)"
)
# Shapes that count only directly after a label: 0503; 1988; 1988-05, born in 1988
_SHORT_DATE = re.compile(
    rf"{_AFTER_LABEL}(?:in\s)?(?P<date>(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?P<year>19[0-9]{2}|20[0-2][0-9])(?:\s?년(?:도|생)?(?:\s?(?:0?[1-9]|1[0-2])\s?월)?|[-./](?:0?[1-9]|1[0-2]))?)"
    r"(?![0-9A-Za-z:]|[-./]\s?[0-9]|\s?[년월])"
)
# After a date: 1988년 1월 1일생, 88.1.1 출생, 1월 1일이 제 생일, 1988-01-01에 태어난; or a sex: 88.1.1/남
_BORN = re.compile(
    r"(?:출|에[ \t]?(?:[가-힣]{1,8}에서[ \t])?|\(|이?[ \t]?[제내]?[ \t]?)?"
    r"(?:생일|생(?![가-힣])|생(?:이|인|입|으|의|은|년(?!월))|태어)"
    r"|[,/][ \t]?(?:[남여](?:성|자)?(?![가-힣])|[MF](?![A-Za-z0-9]))"
)
# Before a date: (F/1988-01-01)
_SEX = re.compile(r"(?<![가-힣A-Za-z])(?:[남여](?:성|자)?|[MF])[ ]?[,/][ ]?(?=[0-9])")
# 주민번호 앞자리 880101
_FIRST_HALF_OF_RESIDENT_NUMBER = re.compile(
    r"(?:앞[ ]?자리|주민(?:번호)?[ ]?앞)(?:(?:는|은|가)?[ ]{0,2}[:=]?[ ]?|[^\n0-9]{0,16}\n[^\n:>]{1,12}[:>][ ]?)"
    r"(?=[0-9]{6}(?![0-9]))"
)
# the end of a question and the speaker of the answer: … your date of birth. / user: 7 Feb 1990
_ANSWER = re.compile(r"[^\n]{0,12}[?？.요까][ ]?\n[^\n:>]{1,20}[:>][ ]?[^\n0-9]{0,16}")
# 1988년생, 88년생
_SHORT_LABEL = re.compile(r"(?<![가-힣A-Za-z])생[ ]?[:=]?[ ](?=[0-9]{2})")  # 생 1972.10.01
# 12MAR88, as airlines write it
_DATE_OF_AIRLINES = re.compile(
    rf"{_AFTER_LABEL}(?P<date>(?P<day>[0-9]{{1,2}})(?P<month>{'|'.join(_MONTHS)})(?P<year>(?:19|20)?[0-9]{{2}}))"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_YEAR_OF_BIRTH = re.compile(
    r"(?<![0-9A-Za-z.\-])(?P<year>(?:19|20)?[0-9]{2})\s?년(?:\s?[0-9]{1,2}\s?월)?생(?![산활명물체태계각겨긴길존기맥선방성]|\s?(?:한우|송아지|돼지|묘목|홍삼|인삼|소나무|매실))"
)
# b. 1988-01-01, as in lists of persons
_ABBREVIATION = re.compile(r"(?<![A-Za-z0-9.])[Bb]\.[ ]?(?=[0-9])")


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    """Dates that exist and are in the last 120 years, after a label."""
    for label in source.labels.of_kind("DATE_OF_BIRTH"):
        yield from _find_dates_after(source, label)
        yield from _find_unusual_dates_after(source, label)


def _find_dates_after(source: LabelledText, label: Label) -> Iterator[Finding]:
    """The dates whose nearest label is this one. A date that is not adjacent needs a year."""
    calendar = _CALENDAR.match(source.text, label.end)
    end_of_calendar = calendar.end() if calendar is not None else -1
    end_of_search = label.end + _MAX_CHARS_AFTER_LABEL + _MAX_DATE_LENGTH
    has_found = False
    for match in _DATE.finditer(source.text, label.end, end_of_search):
        nearest = source.labels.before(match.start())
        between = source.text[label.end : match.start()]
        is_speaker_before = nearest.kind == PIIKind.PERSON and ("\n" in between or "?" in between)
        if is_speaker_before or _ANSWER.fullmatch(between):
            # the answer to a question of a chat: "생년월일 알려 주세요", and in the next line "고객: 1988-01-01"
            if _has_year(match) and _is_past_date(match, source.today.year - _YOUNGEST_IN_CHAT):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.7, "label")
            return
        if nearest.start != label.start or _OTHER_SUBJECT.search(source.lowered, label.end, match.start()):
            return
        if "\n" in between and (has_found or not nearest.adjacent_kind):
            return  # the date of another field
        is_adjacent = bool(nearest.adjacent_kind) or match.start() == end_of_calendar
        if (is_adjacent or _has_year(match)) and _is_past_date(match, source.today.year):
            has_found = True
            yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9 if is_adjacent else 0.7, "label")


def _find_unusual_dates_after(source: LabelledText, label: Label) -> Iterator[Finding]:
    """A date in words, a year alone, or a month and a day in four digits, directly after the label."""
    in_words = _DATE_IN_WORDS.match(source.text, label.end)
    if in_words is not None:
        yield Finding(PIIKind.DATE_OF_BIRTH, *in_words.span("date"), 0.9, "label")
    compact = _DATE_OF_AIRLINES.match(source.text, label.end)
    if compact is not None:
        year = _four_digit_year(compact["year"], source.today.year)
        month = _MONTHS.index(compact["month"].lower()) + 1
        if _is_in_last_years(year, source.today.year) and is_calendar_date(year, month, int(compact["day"])):
            yield Finding(PIIKind.DATE_OF_BIRTH, *compact.span("date"), 0.9, "label")
    short = _SHORT_DATE.match(source.text, label.end)
    if short is not None and (not short["year"] or _is_in_last_years(int(short["year"]), source.today.year)):
        yield Finding(PIIKind.DATE_OF_BIRTH, *short.span("date"), 0.8, "label")


def _find_before_born(source: LabelledText) -> Iterator[Finding]:
    text = source.text
    for born in _BORN.finditer(text):
        for match in _DATE.finditer(text, max(0, born.start() - _MAX_DATE_LENGTH), born.end()):
            is_directly_before = match.end() <= born.start() and not text[match.end() : born.start()].strip(" .")
            if is_directly_before and _is_past_date(match, source.today.year):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.9, "born")


def _find_years(source: LabelledText) -> Iterator[Finding]:
    for match in _YEAR_OF_BIRTH.finditer(source.text):
        if _is_in_last_years(_four_digit_year(match["year"], source.today.year), source.today.year):
            yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.8, "born")


def _find_after_signs(source: LabelledText) -> Iterator[Finding]:
    """Dates after an abbreviation, a sex, or the words for the first half of a resident registration number."""
    for before_date in (_ABBREVIATION, _SHORT_LABEL, _SEX, _FIRST_HALF_OF_RESIDENT_NUMBER):
        for place in before_date.finditer(source.text):
            match = _DATE.match(source.text, place.end())
            if match is not None and _has_year(match) and _is_past_date(match, source.today.year):
                yield Finding(PIIKind.DATE_OF_BIRTH, *match.span(), 0.8, "born")


def _has_year(match: re.Match[str]) -> bool:
    return any(match.group(*_YEAR_GROUPS))


def _four_digit_year(written: str, this_year: int) -> int:
    """The year; two digits are a year of the last hundred years."""
    year = int(written)
    if year >= 100:
        return year
    return year + (2000 if year <= this_year % 100 else 1900)


def _is_in_last_years(year: int, this_year: int) -> bool:
    """Whether a person who was born in this year can be alive."""
    return this_year - _OLDEST_AGE <= year <= this_year


def _is_past_date(match: re.Match[str], this_year: int) -> bool:
    """Whether a match of _DATE is a calendar date of the last 120 years."""
    parts: dict[str, str] = {name[0]: value for name, value in match.groupdict().items() if value}
    year = 2000  # without a year, 29 February is accepted: 2000 was a leap year
    if "y" in parts:
        year = _four_digit_year(parts["y"], this_year)
        if not _is_in_last_years(year, this_year):
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


DATES_OF_BIRTH = (
    Rule(any_label("DATE_OF_BIRTH"), _find_after_labels, begins_with_word=True),
    Rule(r"생일|생(?:[^가-힣]|[이인입으의은]|$)|생년(?:[^월]|$)|태어|[,/][ \t]?[남여MF]", _find_before_born),
    Rule(r"[0-9]\s?년(?:\s?[0-9]{1,2}\s?월)?생", _find_years),
    Rule(GATE_BESIDE_NAMES, find_birth_dates_beside_names),
    Rule(
        r"[bB]\.[ ]?[0-9]|생[ ]?[:=]?[ ][0-9]|[남여성자MF][ ]?[,/][ ]?[0-9]|앞[ ]?자리|주민(?:번호)?[ ]?앞",
        _find_after_signs,
    ),
)
