"""Check digits and calendar rules. Each takes digits only and answers yes or no."""

from collections.abc import Sequence

__all__ = ["is_business_number", "is_card_number", "is_date", "is_resident_number"]

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_RESIDENT_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_BUSINESS_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


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


def is_resident_number(digits: str) -> bool:
    """The check digit of resident and foreigner numbers issued before October 2020; later ones end in random digits."""
    expected = 11 - _weighted(digits, _RESIDENT_WEIGHTS) % 11
    if digits[6] in "5678":
        expected += 2
    return expected % 10 == int(digits[12])


def is_business_number(digits: str) -> bool:
    """National Tax Service: ten digits, the last one checks the others."""
    total = _weighted(digits, _BUSINESS_WEIGHTS) + int(digits[8]) * 5 // 10
    return (10 - total % 10) % 10 == int(digits[9])
