"""Check digits and calendar rules. Each takes digits only and answers yes or no."""

import re
from collections.abc import Sequence
from datetime import date

from security_common.pii.word_lists import rows

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_RESIDENT_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_BUSINESS_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_CORPORATE_WEIGHTS = (1, 2) * 6
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ISSUERS = re.compile(
    r"(?:[49]...|5[0-8]..|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720|352[89]|35[3-9].|6011|62..|64[4-9].|65..).{12}"
    r"|3[47].{13}|3[689].{12}|30[0-5].{11}|62.{17}"
)
_CENTURY = {"9": 1800, "0": 1800} | dict.fromkeys("1256", 1900) | dict.fromkeys("3478", 2000)
# Published or printed on sample cards by the Social Security Administration, hence nobody's.
_SAMPLE_SSNS = {"078051120", "219099999", "123456789"}

IBAN_LENGTHS = {country: int(length) for country, length in map(str.split, rows("iban_lengths"))}


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """A day of the Gregorian calendar."""
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return False
    return (month, day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def is_card_number(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: the Luhn formula, and not one digit repeated."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0 and len(set(digits)) > 1


def has_issuer(digits: str) -> bool:
    """The first digits and the length belong to a card scheme (ISO/IEC 7812-1), Korea's domestic 9 among them."""
    return _ISSUERS.fullmatch(digits) is not None


def birth_date_of_resident_number(digits: str) -> date | None:
    """The date in the first seven digits of a resident or foreigner number; None when there is no such day."""
    year, month, day = _CENTURY[digits[6]] + int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    return date(year, month, day) if is_date(year, month, day) else None


def has_valid_check_digit(digits: str) -> bool:
    """The check digit of resident and foreigner numbers issued before October 2020; later ones end in random digits."""
    expected = 11 - _weighted(digits, _RESIDENT_WEIGHTS) % 11
    if digits[6] in "5678":
        expected += 2
    return expected % 10 == int(digits[12])


def is_business_number(digits: str) -> bool:
    """National Tax Service: ten digits, the last one checks the others."""
    total = _weighted(digits, _BUSINESS_WEIGHTS) + int(digits[8]) * 5 // 10
    return (10 - total % 10) % 10 == int(digits[9]) and digits[:3] != "000"


def is_corporate_number(digits: str) -> bool:
    """Corporate registration: the check digit of numbers given before 2025; later ones have none."""
    return (10 - _weighted(digits[:12], _CORPORATE_WEIGHTS) % 10) % 10 == int(digits[12])


def is_social_security_number(digits: str) -> bool:
    """SSA: no area 000, 666 or 9xx, no group 00, no serial 0000, none of the published samples."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in {"000", "666"}
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and digits not in _SAMPLE_SSNS
    )


def is_iban(compact: str) -> bool:
    """ISO 13616: the country's length and a remainder of 1 modulo 97."""
    if IBAN_LENGTHS.get(compact[:2]) != len(compact) or not compact.isalnum():
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1
