"""Korean resident registration numbers (주민등록번호) and foreigner registration numbers (외국인등록번호).

Numbers issued before 5 October 2020:

    8 8 0 1 0 1 - 1 2 3 4 5 6 8
    └─────┬───┘   │ └───┬───┘ └ check digit
    date of birth │     └ place and order of registration
                  └ century, sex, citizen or foreigner

Numbers issued since 5 October 2020 have six random digits after the seventh digit, so a wrong check digit does not show
that a number is invalid (주민등록법 시행규칙 제2조, the enforcement rule of the Resident Registration Act).
"""

import re
from collections.abc import Iterator
from datetime import date

from security_common.pii.check_digits import has_valid_ean13_check_digit, is_calendar_date, weighted_sum
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import BANK, OTHER, LabelledText
from security_common.pii.number_candidates import NumberCandidate, Recognition
from security_common.pii.rules import Rule
from security_common.pii.value_surroundings import is_in_path_or_url

__all__ = ["SPLIT_RESIDENT_NUMBERS", "birth_date", "has_valid_check_digit", "recognize_resident_number"]

_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_FOREIGNER_DIGITS = "5678"
_CENTURY_BY_SEVENTH_DIGIT = {
    "9": 1800,
    "0": 1800,
    "1": 1900,
    "2": 1900,
    "5": 1900,
    "6": 1900,
    "3": 2000,
    "4": 2000,
    "7": 2000,
    "8": 2000,
}
# Few people who were born earlier are alive, and a date of this century with a serial number, such as 260418-1000123,
# looks like a birth a century ago.
_EARLIEST_PLAUSIBLE_BIRTH = 1935
_FIRST_WITHOUT_CHECK_DIGIT = date(2020, 10, 5)
_EPOCH = date(1970, 1, 1)
_SECONDS_PER_DAY, _DAYS_OF_LAST_TEN_YEARS, _DAYS_OF_NEXT_YEAR = 86_400, 3_653, 366
_PERSON_BEFORE = re.compile(r"[가-힣]{2,4}\($")  # 홍길동(8801011234568)
_NAME_AND_PARENTHESIS = 5
_KOREAN_BARCODE_PREFIX = "880"  # GS1 prefix of Korea
_LABELS = frozenset({"KR_RRN", "NATIONAL_ID"})
_OTHER_NUMBER_LABELS = frozenset({"BANK_ACCOUNT", BANK, OTHER, "CORP_NUMBER"})
# The character class comes first and its look-behind after it, so that the engine skips to digits quickly.
_SPLIT_NUMBER = re.compile(r"([0-9]{6})(?<![0-9]{7})[^-0-9\n][^0-9\n]{0,13}([0-9]{7})(?![0-9])")


def recognize_resident_number(number: NumberCandidate) -> Recognition:
    """Validates 13 digits; returns kind, score and reason, or None if they are not a resident registration number.

    A label is a word such as 주민번호 that says what a number is (`labels`). Other words may be between a number and
    its label. The label is adjacent if nothing but a connector, such as `: ` or `번호는`, is between them. A number is
    labelled if its label is that of a resident registration number or of a national id.

    Required: the date of birth exists and is not after today; the adjacent label is not that of a corporate number; and
    if the person was born before 1900, the number is labelled. In addition one of

    | check digit | what else is found                                                           | score |
    |-------------|------------------------------------------------------------------------------|-------|
    | valid       | the number is labelled, or written in groups of 6 and 7                      | 0.99  |
    | valid       | it is probably nothing else, see `_is_likely_without_label`                  | 0.90  |
    | not valid   | the number is labelled                                                       | 0.90  |
    | not valid   | it is written as 880101-1234567, the birth was on 5 October 2020 or later    | 0.75  |
    | not valid   | it is written as 880101-1234567, the birth was before that, in 1935 or later | 0.65  |

    In the first row, groups of 6 and 7 are not enough if the birth was before 1935 and the adjacent label has the kind
    `OTHER`: it names another number, such as a serial number. The last two rows do not apply to a number with one of
    the labels in `_OTHER_NUMBER_LABELS`. Before 5 October 2020 every
    number was issued with a valid check digit. The score of the last row is therefore low: the digits may be a
    corporate number, which `number_rules` gives 0.7 if its own check digit is valid, and the higher score decides.

    The check digit alone cannot decide, since numbers issued since 5 October 2020 do not have one.
    """
    born = birth_date(number.digits)
    if born is None or born > number.source.today or number.adjacent_label_kind == "CORP_NUMBER":
        return None
    labelled = number.label_kind in _LABELS
    born_before_1900 = number.digits[6] in "90"
    if born_before_1900 and not labelled:
        return None
    if has_valid_check_digit(number.digits):
        is_serial_number = number.adjacent_label_kind == OTHER and born.year < _EARLIEST_PLAUSIBLE_BIRTH
        if labelled or (number.grouping == (6, 7) and not is_serial_number):
            return PIIKind.KR_RRN, 0.99, "check-digit"
        return (PIIKind.KR_RRN, 0.9, "check-digit") if _is_likely_without_label(number) else None
    if labelled:
        return PIIKind.KR_RRN, 0.9, "label"
    if number.grouping == (6, 7) and number.separators == "-" and number.label_kind not in _OTHER_NUMBER_LABELS:
        if born.year < _EARLIEST_PLAUSIBLE_BIRTH:
            return None
        return PIIKind.KR_RRN, 0.75 if born >= _FIRST_WITHOUT_CHECK_DIGIT else 0.65, "birth-date"
    return None


def _is_likely_without_label(number: NumberCandidate) -> bool:
    """Whether a number with a valid check digit is probably a resident number although no label says so.

    It is written as 13 digits in a row, or as 13 single digits with a separator after each. Excluded are

    - numbers in a path or URL,
    - numbers with a label of kind `OTHER`,
    - recent times in milliseconds, except directly after Hangul letters and `(`, as in `홍길동(`,
    - Korean barcodes, except with the label of a name.
    """
    digits, source = number.digits, number.source
    if (
        number.grouping != (13,)
        or number.label_kind == OTHER
        or is_in_path_or_url(source.text, number.start, number.end)
    ):
        return False
    if _is_epoch_milliseconds(digits, source.today):
        return (
            _PERSON_BEFORE.search(source.text, max(0, number.start - _NAME_AND_PARENTHESIS), number.start) is not None
        )
    is_barcode = digits.startswith(_KOREAN_BARCODE_PREFIX) and has_valid_ean13_check_digit(digits)
    return not is_barcode or number.label_kind == "PERSON"


def _is_epoch_milliseconds(digits: str, today: date) -> bool:
    """Whether 13 digits are a time in milliseconds since 1970, from ten years ago to one year ahead.

    `is_timestamp` accepts times until 2033. Here the check digit is valid, so only a time that current data can have
    is evidence against a resident number.
    """
    seconds = int(digits) // 1000
    days = seconds // _SECONDS_PER_DAY - (today - _EPOCH).days
    return -_DAYS_OF_LAST_TEN_YEARS <= days <= _DAYS_OF_NEXT_YEAR


def has_valid_check_digit(digits: str) -> bool:
    """Whether the last of 13 digits is the check digit of the other twelve.

    The sum has the weights 2 3 4 5 6 7 8 9 2 3 4 5. Citizens: (11 - sum modulo 11) modulo 10. Foreigners: (13 - sum
    modulo 11) modulo 10.
    """
    expected = 11 - weighted_sum(digits, _WEIGHTS) % 11
    if digits[6] in _FOREIGNER_DIGITS:
        expected += 2
    return expected % 10 == int(digits[12])


def birth_date(digits: str) -> date | None:
    """The date of birth in the first seven digits, or None if there is no such date."""
    year = _CENTURY_BY_SEVENTH_DIGIT[digits[6]] + int(digits[:2])
    month, day = int(digits[2:4]), int(digits[4:6])
    return date(year, month, day) if is_calendar_date(year, month, day) else None


def _find_split_resident_numbers(source: LabelledText) -> Iterator[Finding]:
    """A number given in two parts after its label: 주민번호 앞자리 900101, 뒷자리 1234567."""
    for match in _SPLIT_NUMBER.finditer(source.text):
        label = source.labels.before(match.start())
        born = birth_date(match[1] + match[2])
        if label.kind == "KR_RRN" and born is not None and born <= source.today:
            yield Finding(PIIKind.KR_RRN, match.start(), match.end(), 0.97, "label")


SPLIT_RESIDENT_NUMBERS = Rule("[0-9]{7}", _find_split_resident_numbers)
