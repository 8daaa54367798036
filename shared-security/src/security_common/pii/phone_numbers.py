"""Telephone numbers: Korean ones by area code, others by `+` and country code (ITU-T E.164) or by their label."""

import re

from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER
from security_common.pii.number_candidates import NumberCandidate, Recognition
from security_common.pii.value_surroundings import is_in_path_or_url
from security_common.pii.word_lists import read_rows

__all__ = ["recognize_phone_number"]

_MOBILE = re.compile(r"01[016789][0-9]{7,8}")
_LANDLINE = re.compile(r"(?:02|0(?:3[1-3]|4[1-4]|5[1-5]|6[1-4])|070|050[2-8]?)[0-9]{7,8}")
_NORTH_AMERICAN = re.compile(r"1?[2-9][0-8][0-9][2-9][0-9]{6}")
_SERVICE_LINE = re.compile(r"1[568][0-9]{6}")  # 1588-1234 is a company's number, unless a label says otherwise
_HANGUL = re.compile("[가-힣]")
_ACCOUNT_OR_OTHER_LABELS = frozenset({"BANK_ACCOUNT", BANK, OTHER})
_CHARS_READ_FOR_LANGUAGE = 60
_SEPARATORS_OF_COORDINATES = frozenset({".-.", ". .", "."})  # +37.5665-126.9780 (ISO 6709)

_NATIONAL_LENGTHS = {
    code: range(int(fewest), int(most) + 1) for code, fewest, most in map(str.split, read_rows("calling_codes"))
}


def recognize_phone_number(number: NumberCandidate) -> Recognition:
    """Kind, score and reason, or None. Tries the rules for the first digit; the first that recognizes it decides."""
    if number.has_plus:  # +82 10-1234-5678, +1 (415) 555-2671
        if "," in number.separators or number.separators in _SEPARATORS_OF_COORDINATES:
            return None
        return (PIIKind.PHONE, 0.93, "country-code") if _has_valid_national_length(number.digits) else None
    for rule in _RULES_BY_FIRST_DIGIT[number.digits[0]]:
        recognition = rule(number)
        if recognition is not None:
            return recognition
    return None


def _recognize_mobile(number: NumberCandidate) -> Recognition:
    """010-1234-5678 in any grouping. Digits without separators only if nothing around them says otherwise."""
    if not _MOBILE.fullmatch(number.digits):
        return None
    if number.grouping in {(3, 4, 4), (3, 3, 4)}:
        return PIIKind.PHONE, 0.93, "area-code"
    if number.adjacent_label in _ACCOUNT_OR_OTHER_LABELS:
        return None
    labelled = number.label == "PHONE"
    if len(number.digits) == 11 and labelled:
        return PIIKind.PHONE, 0.88, "area-code"
    if labelled or number.grouping in {(3, 7), (3, 8)}:
        return PIIKind.PHONE, 0.8, "label"
    if len(number.digits) == 11 and number.digits.startswith("010") and number.grouping[0] >= 3:
        is_in_path = is_in_path_or_url(number.source.text, number.start, number.end)
        return None if is_in_path else (PIIKind.PHONE, 0.88, "area-code")
    return None


def _recognize_landline(number: NumberCandidate) -> Recognition:
    """02-123-4567, 031) 123-4567, 0507-1234-5678. Digits without separators only with a label."""
    digits = number.digits
    if not _LANDLINE.fullmatch(digits) or number.adjacent_label in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if digits.startswith("02"):
        area_length = 2
    elif digits.startswith("050") and len(digits) == 12:
        area_length = 4
    else:
        area_length = 3
    exchange_length = len(digits) - area_length - 4
    if number.grouping == (area_length, exchange_length, 4) and exchange_length in {3, 4}:
        return PIIKind.PHONE, 0.9, "area-code"
    return (PIIKind.PHONE, 0.8, "label") if number.label == "PHONE" else None


def _recognize_without_plus(number: NumberCandidate) -> Recognition:
    """Country codes without `+`: 0082-10-1234-5678, 001-415-555-2671 with a label, 82-10-1234-5678."""
    digits, labelled = number.digits, number.label == "PHONE"
    if digits.startswith("00") and _has_valid_national_length(digits[2:]):
        korean_with_separators = digits.startswith("0082") and number.separators
        return (PIIKind.PHONE, 0.85, "country-code") if korean_with_separators or labelled else None
    if digits.startswith("8210") and len(digits) == 12 and (number.separators or labelled):
        return PIIKind.PHONE, 0.9, "country-code"
    return None


def _recognize_north_american(number: NumberCandidate) -> Recognition:
    """(415) 555-2671; 415-555-2671 and 1-415-555-2671 in English text; any grouping with an adjacent label."""
    if len(number.digits) not in {10, 11} or not _NORTH_AMERICAN.fullmatch(number.digits):
        return None
    usual_grouping = number.grouping in {(3, 3, 4), (1, 3, 3, 4)} and not {",", "/", "_", "\n"} & set(number.separators)
    if usual_grouping and number.adjacent_label != OTHER:
        has_area_in_brackets = number.separators[0] == ")"
        if has_area_in_brackets or _is_in_english_text(number):
            return PIIKind.PHONE, 0.75, "shape"
    return (PIIKind.PHONE, 0.8, "label") if number.adjacent_label == "PHONE" else None


def _recognize_labelled(number: NumberCandidate) -> Recognition:
    """With an adjacent label: 1012345678 without its leading zero, service lines, numbers of other countries."""
    digits, length = number.digits, len(number.digits)
    labelled = number.adjacent_label == "PHONE"
    if length == 10 and _MOBILE.fullmatch("0" + digits):
        return (PIIKind.PHONE, 0.8, "label") if labelled else None
    if number.grouping == (4, 4) and _SERVICE_LINE.fullmatch(digits):
        return (PIIKind.PHONE, 0.6, "label") if labelled else None
    looks_national = digits[0] == "0" and 9 <= length <= 12 and number.grouping[0] <= 5
    return (PIIKind.PHONE, 0.75, "label") if looks_national and labelled else None


def _has_valid_national_length(digits: str) -> bool:
    """Whether digits begin with a country code and have a length that is used in that country."""
    for code_length in (2, 3, 1):
        allowed = _NATIONAL_LENGTHS.get(digits[:code_length])
        if allowed is not None:
            national = digits[code_length:]
            has_trunk_zero = national.startswith("0") and len(national) - 1 in allowed
            return len(national) in allowed or has_trunk_zero
    return False


def _is_in_english_text(number: NumberCandidate) -> bool:
    start, end = max(0, number.start - _CHARS_READ_FOR_LANGUAGE), number.end + _CHARS_READ_FOR_LANGUAGE
    return _HANGUL.search(number.source.text[start:end]) is None and number.label not in _ACCOUNT_OR_OTHER_LABELS


_RULES_BY_FIRST_DIGIT = {
    "0": (_recognize_mobile, _recognize_landline, _recognize_without_plus, _recognize_labelled),
    "1": (_recognize_north_american, _recognize_labelled),
    "2": (_recognize_north_american,),
    "3": (_recognize_north_american,),
    "4": (_recognize_north_american,),
    "5": (_recognize_north_american,),
    "6": (_recognize_north_american,),
    "7": (_recognize_north_american,),
    "8": (_recognize_without_plus, _recognize_north_american),
    "9": (_recognize_north_american,),
}
