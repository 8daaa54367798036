"""Telephone numbers: Korean ones by area code, others by `+` and country code (ITU-T E.164) or by their label."""

import re

from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER
from security_common.pii.number_candidates import Number
from security_common.pii.word_lists import rows

__all__ = ["Verdict", "judge_phone"]

Verdict = tuple[PIIKind, float, str] | None

_MOBILE = re.compile(r"01[016789][0-9]{7,8}")
_LANDLINE = re.compile(r"(?:02|0(?:3[1-3]|4[1-4]|5[1-5]|6[1-4])|070|050[2-8]?)[0-9]{7,8}")
_NORTH_AMERICAN = re.compile(r"1?[2-9][0-8][0-9][2-9][0-9]{6}")
_SERVICE_LINE = re.compile(r"1[568][0-9]{6}")  # 1588-1234: a company's, unless it is somebody's labelled number
_HANGUL = re.compile("[가-힣]")
_ACCOUNTS_OR_OTHER = frozenset({"BANK_ACCOUNT", BANK, OTHER})

_NATIONAL_LENGTHS = {
    code: range(int(least), int(most) + 1) for code, least, most in map(str.split, rows("calling_codes"))
}


def judge_phone(number: Number) -> Verdict:
    """Asks only the rules that the first digit allows; the first that recognises the number decides."""
    if number.plus:  # +82 10-1234-5678, +1 (415) 555-2671
        return (PIIKind.PHONE, 0.93, "country-code") if _has_national_length(number.digits) else None
    for rule in _BY_FIRST_DIGIT[number.digits[0]]:
        if verdict := rule(number):
            return verdict
    return None


def _judge_dialled_abroad(number: Number) -> Verdict:
    """0082-10-1234-5678, 001-415-555-2671 under a label, 82-10-1234-5678."""
    digits = number.digits
    if digits.startswith("00") and _has_national_length(digits[2:]):
        korean = digits.startswith("0082") and number.joints
        return (PIIKind.PHONE, 0.85, "country-code") if korean or number.labelled == "PHONE" else None
    if digits.startswith("8210") and len(digits) == 12 and (number.joints or number.labelled == "PHONE"):
        return PIIKind.PHONE, 0.9, "country-code"
    return None


def _has_national_length(digits: str) -> bool:
    for length in (2, 3, 1):
        allowed = _NATIONAL_LENGTHS.get(digits[:length])
        if allowed is not None:
            national = digits[length:]
            return len(national) in allowed or (national.startswith("0") and len(national) - 1 in allowed)
    return False


def _judge_mobile(number: Number) -> Verdict:
    """010-1234-5678 in any grouping; digits alone when nothing calls them something else."""
    if not _MOBILE.fullmatch(number.digits):
        return None
    if number.parts in {(3, 4, 4), (3, 3, 4)}:
        return PIIKind.PHONE, 0.93, "area-code"
    if number.called in _ACCOUNTS_OR_OTHER:
        return None
    if len(number.digits) == 11 and (number.digits.startswith("010") or number.labelled == "PHONE"):
        return PIIKind.PHONE, 0.88, "area-code"
    return (PIIKind.PHONE, 0.8, "label") if number.labelled == "PHONE" or number.parts in {(3, 7), (3, 8)} else None


def _judge_landline(number: Number) -> Verdict:
    """02-123-4567, 031) 123-4567, 0507-1234-5678; digits alone only under a label."""
    digits = number.digits
    if not _LANDLINE.fullmatch(digits) or number.called in _ACCOUNTS_OR_OTHER:
        return None
    area = 2 if digits.startswith("02") else 4 if digits.startswith("050") and len(digits) == 12 else 3
    exchange = len(digits) - area - 4
    if number.parts == (area, exchange, 4) and exchange in {3, 4}:
        return PIIKind.PHONE, 0.9, "area-code"
    return (PIIKind.PHONE, 0.8, "label") if number.labelled == "PHONE" else None


def _judge_american(number: Number) -> Verdict:
    """(415) 555-2671, 415-555-2671 in English text, 1-415-555-2671; anything of that shape under a label."""
    if len(number.digits) not in {10, 11} or not _NORTH_AMERICAN.fullmatch(number.digits):
        return None
    shaped = number.parts in {(3, 3, 4), (1, 3, 3, 4)}
    if shaped and number.called != OTHER and (number.joints[0] == ")" or _reads_as_english(number)):
        return PIIKind.PHONE, 0.75, "shape"
    return (PIIKind.PHONE, 0.8, "label") if number.called == "PHONE" else None


def _judge_labelled(number: Number) -> Verdict:
    """Numbers of other countries as dialled at home, and 1012345678 without its zero; only under a label."""
    digits, length = number.digits, len(number.digits)
    if length == 10 and _MOBILE.fullmatch("0" + digits):
        return (PIIKind.PHONE, 0.8, "label") if number.called == "PHONE" else None
    if number.parts == (4, 4) and _SERVICE_LINE.fullmatch(digits):
        return (PIIKind.PHONE, 0.6, "label") if number.called == "PHONE" else None
    dialled = digits[0] == "0" and 9 <= length <= 12 and number.parts[0] <= 5
    return (PIIKind.PHONE, 0.75, "label") if dialled and number.called == "PHONE" else None


def _reads_as_english(number: Number) -> bool:
    around = number.reading.text[max(0, number.start - 60) : number.end + 60]
    return _HANGUL.search(around) is None and number.labelled not in _ACCOUNTS_OR_OTHER


_BY_FIRST_DIGIT = {str(digit): (_judge_american,) for digit in range(2, 10)} | {
    "0": (_judge_mobile, _judge_landline, _judge_dialled_abroad, _judge_labelled),
    "1": (_judge_american, _judge_labelled),
    "8": (_judge_dialled_abroad, _judge_american),
}
