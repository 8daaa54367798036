"""Check digits, number ranges and calendar dates. Each function takes digits without separators.

The Korean resident registration number has a module of its own: resident_number.py.
"""

import re
from collections.abc import Sequence
from operator import mul

from security_common.pii.word_lists import read_rows

__all__ = [
    "IBAN_LENGTHS",
    "has_card_scheme_prefix",
    "has_valid_corporate_check_digit",
    "has_valid_ean13_check_digit",
    "is_calendar_date",
    "is_valid_business_number",
    "is_valid_iban",
    "is_valid_us_ssn",
    "passes_luhn",
    "weighted_sum",
]

IBAN_LENGTHS = {country: int(length) for country, length in map(str.split, read_rows("iban_lengths"))}
"""The length of an IBAN by country code (ISO 13616 registry)."""

_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BUSINESS_NUMBER_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_CORPORATE_NUMBER_WEIGHTS = (1, 2) * 6
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # twice a digit, with the two digits of the result added
_CARD_SCHEME_PREFIX = re.compile(
    r"(?:[49]...|5[0-8]..|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720|352[89]|35[3-9].|6011|62..|64[4-9].|65..).{12}"
    r"|3[47].{13}"
    r"|3[689].{12}"
    r"|30[0-5].{11}"
    r"|62.{17}"
)
# Published or printed on sample cards by the Social Security Administration, so they belong to no person.
_SAMPLE_SSNS = {"078051120", "219099999", "123456789"}


def weighted_sum(digits: str, weights: Sequence[int]) -> int:
    """The sum of each digit times its weight, for as many digits as there are weights."""
    return sum(map(mul, map(int, digits), weights))


def is_calendar_date(year: int, month: int, day: int) -> bool:
    """Whether this is a date of the Gregorian calendar."""
    if not (1 <= month <= 12 and 1 <= day <= _DAYS_IN_MONTH[month - 1]):
        return False
    leap_year = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (month, day) != (2, 29) or leap_year


def passes_luhn(digits: str) -> bool:
    """The Luhn formula of ISO/IEC 7812-1 annex B. One digit repeated is not accepted."""
    total = sum(map(int, digits[-1::-2])) + sum(_LUHN_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0 and len(set(digits)) > 1


def has_card_scheme_prefix(digits: str) -> bool:
    """Whether the first digits and the length are those of a card scheme, Korea's domestic cards (9…) included."""
    return _CARD_SCHEME_PREFIX.fullmatch(digits) is not None


def is_valid_business_number(digits: str) -> bool:
    """Korean business registration number (National Tax Service): ten digits, the last one is a check digit."""
    total = weighted_sum(digits, _BUSINESS_NUMBER_WEIGHTS) + int(digits[8]) * 5 // 10
    return (10 - total % 10) % 10 == int(digits[9]) and digits[:3] != "000"


def has_valid_corporate_check_digit(digits: str) -> bool:
    """Korean corporate registration number: numbers issued before 2025 end in a check digit, later ones do not."""
    return (10 - weighted_sum(digits[:12], _CORPORATE_NUMBER_WEIGHTS) % 10) % 10 == int(digits[12])


def has_valid_ean13_check_digit(digits: str) -> bool:
    """Barcode of 13 digits (GS1 General Specifications, section 7.9): weights 1 and 3 in turn."""
    return weighted_sum(digits, (1, 3) * 6 + (1,)) % 10 == 0


def is_valid_us_ssn(digits: str) -> bool:
    """US social security number: no area 000, 666 or 9xx, no group 00, no serial 0000, no published sample."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in {"000", "666"}
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and digits not in _SAMPLE_SSNS
    )


def is_valid_iban(compact: str) -> bool:
    """ISO 13616: the length of the country, and a remainder of 1 modulo 97. Takes capitals without spaces."""
    if IBAN_LENGTHS.get(compact[:2]) != len(compact) or not compact.isalnum():
        return False
    rearranged = compact[4:] + compact[:4]
    as_number = "".join(str(int(char, 36)) for char in rearranged)  # A is 10, Z is 35
    return int(as_number) % 97 == 1
