"""Telephone numbers: Korean ones by area code, others by `+` and country code (ITU-T E.164) or by their label."""

import re

from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER
from security_common.pii.number_candidates import NumberCandidate, Recognition, is_timestamp
from security_common.pii.value_surroundings import is_in_path_or_url
from security_common.pii.word_lists import read_rows

__all__ = ["recognize_phone_number"]

_MOBILE = re.compile(r"01[016789][0-9]{7,8}")
_LANDLINE = re.compile(r"(?:02|0(?:3[1-3]|4[1-4]|5[1-5]|6[1-4])|0[78]0|050[2-8]?)[0-9]{7,8}")
_NORTH_AMERICAN = re.compile(r"1?[2-9][0-8][0-9][2-9][0-9]{6}")
# 1588-1234 is the number of a company: it counts beside a label.
_SERVICE_LINE = re.compile(
    r"1(?:5(?:22|33|44|55|66|77|88|99)|6(?:00|11|1[3-4]|3[03]|44|6[1678]|70|8[28]|99)|8(?:00|11|33|55|66|77|99))[0-9]{4}"
)
_WEAK_LABEL_WORDS = "번호는 번호로 번호가 내선 문자 통화 카톡 문의 상담 call cell dial direct portable reach text"
_WEAK_LABELS = frozenset(_WEAK_LABEL_WORDS.split())
"""Labels that also introduce other numbers: text 20260418."""
# Mobile numbers of Japan and Taiwan, which look like no other number.
_DISTINCTIVE_NUMBER = re.compile(r"090-[0-9]{4}-[0-9]{4}|09[0-9]{2}-[0-9]{3}-[0-9]{3}")
_DISTINCTIVE_GROUPINGS = frozenset({(3, 4, 4), (4, 3, 3)})
# Mobile numbers of the United Kingdom and Australia, and numbers of London.
_BRITISH_OR_AUSTRALIAN = re.compile(
    r"07[1-9][0-9]{2} [0-9]{6}|07[0-9]{3} [0-9]{3} [0-9]{3}|020 [378][0-9]{3} [0-9]{4}|04[0-9]{2} [0-9]{3} [0-9]{3}"
)
_MIN_DIGITS_BEHIND_LABEL, _MAX_DIGITS_BEHIND_LABEL = 8, 13
_FIRST_OF_EIGHT_DIGITS = frozenset("5689")  # of Hong Kong and Singapore; others are rather counts: "mobile": 23456789
_SEPARATORS_BEHIND_LABEL = frozenset("-./ ()")
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
    return _recognize_labelled(number) if number.adjacent_label_kind == "PHONE" else None


def _recognize_mobile(number: NumberCandidate) -> Recognition:
    """010-1234-5678 in any grouping. Digits without separators only if nothing around them says otherwise."""
    if not _MOBILE.fullmatch(number.digits):
        return None
    if number.grouping in {(3, 4, 4), (3, 3, 4)}:
        return PIIKind.PHONE, 0.93, "area-code"
    if number.adjacent_label_kind in _ACCOUNT_OR_OTHER_LABELS:
        return None
    labelled = number.label_kind == "PHONE"
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
    if not _LANDLINE.fullmatch(digits) or number.adjacent_label_kind in _ACCOUNT_OR_OTHER_LABELS:
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
    return (PIIKind.PHONE, 0.8, "label") if number.label_kind == "PHONE" else None


def _recognize_without_plus(number: NumberCandidate) -> Recognition:
    """Country codes without `+`: 0082-10-1234-5678, 001-415-555-2671 with a label, 82-10-1234-5678."""
    digits, labelled = number.digits, number.label_kind == "PHONE"
    if digits.startswith("00") and _has_valid_national_length(digits[2:]):
        is_korean = digits.startswith("008210") or (digits.startswith("0082") and number.separators)
        return (PIIKind.PHONE, 0.85, "country-code") if is_korean or labelled else None
    if number.adjacent_label_kind != OTHER and _has_form_of_country(number):
        return PIIKind.PHONE, 0.75, "shape"
    if digits.startswith("8210") and len(digits) == 12 and (number.separators or labelled):
        return PIIKind.PHONE, 0.9, "country-code"
    return None


def _has_form_of_country(number: NumberCandidate) -> bool:
    """Whether a number is written as the mobile numbers of Japan and Taiwan, or in English text as British ones."""
    text, start, end = number.source.text, number.start, number.end
    if number.grouping in _DISTINCTIVE_GROUPINGS and _DISTINCTIVE_NUMBER.fullmatch(text, start, end):
        return True
    return _BRITISH_OR_AUSTRALIAN.fullmatch(text, start, end) is not None and _is_in_english_text(number)


def _recognize_north_american(number: NumberCandidate) -> Recognition:
    """(415) 555-2671; 415-555-2671 and 1-415-555-2671 in English text; any grouping with an adjacent label."""
    if len(number.digits) not in {10, 11} or not _NORTH_AMERICAN.fullmatch(number.digits):
        return None
    usual_grouping = number.grouping in {(3, 3, 4), (1, 3, 3, 4)} and not {",", "/", "_", "\n"} & set(number.separators)
    if usual_grouping and number.adjacent_label_kind != OTHER:
        has_area_in_brackets = number.separators[0] == ")"
        if has_area_in_brackets or _is_in_english_text(number):
            return PIIKind.PHONE, 0.75, "shape"
    return (PIIKind.PHONE, 0.8, "label") if number.adjacent_label_kind == "PHONE" else None


def _recognize_labelled(number: NumberCandidate) -> Recognition:
    """With an adjacent label: 1012345678 without its leading zero, service lines, numbers of other countries."""
    digits, length = number.digits, len(number.digits)
    if length == 10 and _MOBILE.fullmatch("0" + digits):
        return PIIKind.PHONE, 0.8, "label"
    if number.grouping in {(4, 4), (8,)} and _SERVICE_LINE.fullmatch(digits):
        return PIIKind.PHONE, 0.6, "label"
    if digits[0] == "0" and 9 <= length <= 12 and number.grouping[0] <= 5:
        return PIIKind.PHONE, 0.75, "label"
    return (PIIKind.PHONE, 0.7, "label") if _is_behind_strong_label(number) else None


def _is_behind_strong_label(number: NumberCandidate) -> bool:
    """Whether a label says that a number of any country is a telephone number: 手机 138 1234 5678, hp 9123 4567."""
    length = len(number.digits)
    if not _MIN_DIGITS_BEHIND_LABEL <= length <= _MAX_DIGITS_BEHIND_LABEL or is_timestamp(number):
        return False
    if not _SEPARATORS_BEHIND_LABEL.issuperset(number.separators):
        return False
    if number.grouping == (_MIN_DIGITS_BEHIND_LABEL,) and number.digits[0] not in _FIRST_OF_EIGHT_DIGITS:
        return False
    source = number.source
    label = source.label_of(number.start, number.end)
    is_in_front = label.end <= number.start and "\n" not in source.text[label.end : number.start]
    return is_in_front and source.lowered[label.start : label.end] not in _WEAK_LABELS


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
    return _HANGUL.search(number.source.text[start:end]) is None and number.label_kind not in _ACCOUNT_OR_OTHER_LABELS


_RULES_BY_FIRST_DIGIT = {
    "0": (_recognize_mobile, _recognize_landline, _recognize_without_plus),
    "1": (_recognize_north_american,),
    "2": (_recognize_north_american,),
    "3": (_recognize_north_american,),
    "4": (_recognize_north_american,),
    "5": (_recognize_north_american,),
    "6": (_recognize_north_american,),
    "7": (_recognize_north_american,),
    "8": (_recognize_without_plus, _recognize_north_american),
    "9": (_recognize_north_american,),
}
