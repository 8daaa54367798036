"""Numbers made of digits only: the table of rules by number of digits, and the rules for numbers that are issued.

Telephone numbers and resident registration numbers have modules of their own. Check digits decide where they exist.
"""

from collections.abc import Callable, Iterator, Mapping

from security_common.pii import check_digits
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import BANK, OTHER, LabelledText
from security_common.pii.national_ids import recognize_national_number
from security_common.pii.number_candidates import NUMBER_GATE, NumberCandidate, Recognition, find_number_candidates
from security_common.pii.phone_numbers import recognize_phone_number
from security_common.pii.resident_number import recognize_resident_number
from security_common.pii.rules import Rule
from security_common.pii.value_surroundings import has_other_name, is_in_path_or_url

__all__ = ["NUMBERS"]

_FIRST_LICENSING_OFFICE, _LAST_LICENSING_OFFICE = 11, 28
_REGISTRY_OFFICES = frozenset({"11", "12", "13", "14", "15", "21", "22", "71", "81"})
_CARD_GROUPINGS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})
_EPOCH_PREFIXES = frozenset({"15", "16", "17", "18", "19"})
_ACCOUNT_LABELS = frozenset({"BANK_ACCOUNT", BANK})
_ACCOUNT_OR_OTHER_LABELS = _ACCOUNT_LABELS | {OTHER}


def _recognize_corporate_number(number: NumberCandidate) -> Recognition:
    """By its label, which no resident registration number has. Without a label: check digit and registry office."""
    digits = number.digits
    if number.label == "CORP_NUMBER" and digits[0] in "12":
        return PIIKind.CORP_NUMBER, 0.995 if number.adjacent_label == "CORP_NUMBER" else 0.9, "label"
    if number.grouping != (6, 7) or number.separators != "-" or number.label in _ACCOUNT_OR_OTHER_LABELS | {"KR_RRN"}:
        return None
    if digits[0] not in "12" or digits[4:6] not in _REGISTRY_OFFICES:
        return None
    return (PIIKind.CORP_NUMBER, 0.7, "check-digit") if check_digits.has_valid_corporate_check_digit(digits) else None


def _recognize_business_number(number: NumberCandidate) -> Recognition:
    """123-45-67890 by its check digit. Digits without separators also need the label."""
    if not check_digits.is_valid_business_number(number.digits) or number.adjacent_label == OTHER:
        return None
    labelled = number.label == "BUSINESS_NUMBER"
    if number.grouping == (3, 2, 5):
        if number.adjacent_label in _ACCOUNT_LABELS:
            return None
        return PIIKind.BUSINESS_NUMBER, 0.97 if labelled else 0.92, "check-digit"
    return (PIIKind.BUSINESS_NUMBER, 0.95, "check-digit") if labelled else None


def _recognize_card_number(number: NumberCandidate) -> Recognition:
    """By the Luhn formula. Without a label also by the prefix of a card scheme, the usual grouping and what is around.

    One in ten numbers passes the Luhn formula by chance, so an unlabelled number has to be a whole value.
    """
    if not check_digits.passes_luhn(number.digits):
        return None
    is_bare = number.grouping == (len(number.digits),)
    if is_bare and number.adjacent_label in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if number.label == "CREDIT_CARD":
        return PIIKind.CREDIT_CARD, 0.98, "check-digit"
    if not check_digits.has_card_scheme_prefix(number.digits) or number.adjacent_label == OTHER:
        return None
    has_usual_form = is_bare or (number.grouping in _CARD_GROUPINGS and number.separators[0] in "- ./")
    if not has_usual_form or len(set(number.separators)) > 1 or not number.stands_alone():
        return None
    return PIIKind.CREDIT_CARD, 0.9 if is_bare else 0.98, "check-digit"


def _recognize_driver_license(number: NumberCandidate) -> Recognition:
    """11-12-345678-90: the first part is a licensing office. Digits without separators also need the label."""
    office = int(number.digits[:2])
    if not _FIRST_LICENSING_OFFICE <= office <= _LAST_LICENSING_OFFICE:
        return None
    if number.adjacent_label in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if number.label == "DRIVER_LICENSE":
        return PIIKind.DRIVER_LICENSE, 0.97, "label"
    return (PIIKind.DRIVER_LICENSE, 0.9, "shape") if number.grouping == (2, 2, 6, 2) else None


def _recognize_us_ssn(number: NumberCandidate) -> Recognition:
    """123-45-6789 in the ranges that are issued. Other forms, and the values of other fields, need the label."""
    if not check_digits.is_valid_us_ssn(number.digits) or number.adjacent_label in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if number.label == "US_SSN":
        return PIIKind.US_SSN, 0.95, "label"
    hyphenated = number.grouping == (3, 2, 4) and number.separators == "--"
    text, start, end = number.source.text, number.start, number.end
    if not hyphenated or number.label == OTHER or has_other_name(text, start) or is_in_path_or_url(text, start, end):
        return None
    return PIIKind.US_SSN, 0.8, "shape"


def _recognize_bank_account(number: NumberCandidate) -> Recognition:
    """Korean accounts have no check digit and any grouping: a label or the name of a bank beside them decides."""
    if number.label not in _ACCOUNT_LABELS or number.has_plus or len(set(number.separators)) > 1:
        return None
    if not number.adjacent_label and _is_time_stamp(number):
        return None
    if number.label == "BANK_ACCOUNT":
        return PIIKind.BANK_ACCOUNT, 0.85 if number.adjacent_label else 0.7, "label"
    if len(number.digits) >= 10:
        return PIIKind.BANK_ACCOUNT, 0.85 if number.adjacent_label else 0.65, "bank"
    return None


def _is_time_stamp(number: NumberCandidate) -> bool:
    """Whether digits are seconds or milliseconds since 1970 (2017 to 2033), or year, month, day and so on."""
    digits = number.digits
    if number.grouping in {(10,), (13,)} and digits[:2] in _EPOCH_PREFIXES:
        return True
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return 1990 <= year <= 2050 and check_digits.is_calendar_date(year, month, day)


def _recognize_foreign_passport(number: NumberCandidate) -> Recognition:
    """Nine digits, as in the United States and the United Kingdom, only with an adjacent passport label."""
    if number.adjacent_label == "PASSPORT" and number.grouping == (9,):
        return PIIKind.PASSPORT, 0.85, "label"
    return None


_RULES_BY_DIGIT_COUNT: Mapping[int, tuple[Callable[[NumberCandidate], Recognition], ...]] = {
    8: (recognize_phone_number, recognize_national_number),
    9: (
        recognize_phone_number,
        _recognize_us_ssn,
        _recognize_foreign_passport,
        recognize_national_number,
        _recognize_bank_account,
    ),
    10: (recognize_phone_number, _recognize_business_number, recognize_national_number, _recognize_bank_account),
    11: (recognize_phone_number, recognize_national_number, _recognize_bank_account),
    12: (recognize_phone_number, _recognize_driver_license, recognize_national_number, _recognize_bank_account),
    13: (
        recognize_phone_number,
        recognize_resident_number,
        _recognize_corporate_number,
        recognize_national_number,
        _recognize_bank_account,
    ),
    14: (recognize_phone_number, _recognize_card_number, recognize_national_number, _recognize_bank_account),
    15: (recognize_phone_number, _recognize_card_number, recognize_national_number, _recognize_bank_account),
    16: (_recognize_card_number, recognize_national_number, _recognize_bank_account),
    18: (recognize_national_number,),
    19: (_recognize_card_number,),
}


def _find_numbers(source: LabelledText) -> Iterator[Finding]:
    """Everything that a rule recognizes. The detector resolves overlaps, also between the rules for one number."""
    for number in find_number_candidates(source):
        for recognize in _RULES_BY_DIGIT_COUNT.get(len(number.digits), ()):
            recognition = recognize(number)
            if recognition is not None:
                kind, score, why = recognition
                yield Finding(kind, number.start, number.end, score, why)


NUMBERS = Rule(NUMBER_GATE, _find_numbers)
