"""Numbers made of digits only: the table of rules by number of digits, and the rules for numbers that are issued.

Telephone numbers and resident registration numbers have modules of their own. Check digits decide where they exist.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from security_common.pii import check_digits
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import BANK, OTHER, LabelledText
from security_common.pii.national_ids import recognize_national_number
from security_common.pii.number_candidates import (
    NUMBER_GATE,
    NumberCandidate,
    Recognition,
    find_number_candidates,
    is_timestamp,
)
from security_common.pii.phone_numbers import recognize_phone_number
from security_common.pii.resident_number import recognize_resident_number
from security_common.pii.rules import Rule
from security_common.pii.value_surroundings import has_specific_name_before, is_in_path_or_url

__all__ = ["NUMBERS"]

_FIRST_LICENSING_OFFICE, _LAST_LICENSING_OFFICE = 11, 28
_REGISTRY_OFFICES = frozenset({"11", "12", "13", "14", "15", "21", "22", "71", "81"})
_CARD_GROUPINGS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})
_TAXPAYER_LABELS = frozenset({"NATIONAL_ID", "NATIONAL_ID_PH"})  # tax id and TIN
_SSN_BEFORE = re.compile(r"\bssn\b|social security")  # SSN given over the phone: 370 64 9084
_CHARS_READ_FOR_SSN = 40
_HANGUL = re.compile("[가-힣]")
_CHARS_READ_FOR_LANGUAGE = 16
_BUSINESS_LABELS = frozenset({"BUSINESS_NUMBER", "NATIONAL_ID"})  # a tax id is that of a company or of a person
_COMPANY = re.compile(
    r"세금\s?계산서|계산서|사업자|상호|공급자|공급받는|대표자|대표이사|가맹점|입점|주식회사|유한회사|\(주\)|㈜|법인|거래처|업체"
)
_CHARS_READ_FOR_COMPANY = 40
_ACCOUNT_LABELS = frozenset({"BANK_ACCOUNT", BANK})
_HIGHEST_SCORE_OF_ACCOUNT = 0.85
_HOLDER_AND_BANK_AFTER = re.compile(
    r"\s?[/|,]?\s?[가-힣]{2,4}\s?[/|,(]\s?(?:[가-힣A-Z]{1,6}(?:은행|뱅크)|농협|수협|신협|새마을금고|우체국)"
)
_FROM_OR_TO = re.compile(r"\b(?:from|to|src|dst|출금|입금|보내는|받는)[A-Za-z]{0,8}['\"]?\s?[=:]\s?['\"]?$")
_MAX_FROM_OR_TO_LENGTH = 24
_TRANSFER = re.compile("이체|송금|transfer|remit")
_CHARS_READ_FOR_TRANSFER = 90
_SORT_CODE = re.compile(r"sort.?code|\bbsb\b|\b[0-9]{2}-[0-9]{2}-[0-9]{2}\b")
_CHARS_READ_FOR_SORT_CODE = 40
_ACCOUNT_OR_OTHER_LABELS = _ACCOUNT_LABELS | {OTHER}
_LABELS_OF_OTHER_NUMBERS = _ACCOUNT_OR_OTHER_LABELS | {"KR_RRN"}


def _recognize_corporate_number(number: NumberCandidate) -> Recognition:
    """By its label, which no resident registration number has. Without a label: check digit and registry office."""
    digits = number.digits
    if number.label_kind == "CORP_NUMBER" and digits[0] in "12":
        return PIIKind.CORP_NUMBER, 0.995 if number.adjacent_label_kind == "CORP_NUMBER" else 0.9, "label"
    if number.grouping != (6, 7) or number.separators != "-" or number.label_kind in _LABELS_OF_OTHER_NUMBERS:
        return None
    if digits[0] not in "12" or digits[4:6] not in _REGISTRY_OFFICES:
        return None
    return (PIIKind.CORP_NUMBER, 0.7, "check-digit") if check_digits.has_valid_corporate_check_digit(digits) else None


def _recognize_business_number(number: NumberCandidate) -> Recognition:
    """123-45-67890 by its check digit. Digits without separators also need a label, or a company beside them."""
    if not check_digits.is_valid_business_number(number.digits):
        return None
    if number.adjacent_label_kind == OTHER and not (number.grouping == (3, 2, 5) and _is_beside_company(number)):
        return None
    labelled = number.label_kind in _BUSINESS_LABELS
    if number.grouping == (3, 2, 5):
        if number.adjacent_label_kind in _ACCOUNT_LABELS:
            return None
        return PIIKind.BUSINESS_NUMBER, 0.97 if labelled else 0.92, "check-digit"
    if labelled:
        return PIIKind.BUSINESS_NUMBER, 0.95, "check-digit"
    if number.grouping != (10,) or number.label_kind in _ACCOUNT_OR_OTHER_LABELS or is_timestamp(number):
        return None
    return (PIIKind.BUSINESS_NUMBER, 0.8, "check-digit") if _is_beside_company(number) else None


def _is_beside_company(number: NumberCandidate) -> bool:
    """Whether the text around a number is about a company: 세금계산서 1234567891 대표자 …"""
    text, start, end = number.source.text, number.start, number.end
    before, after = text[max(0, start - _CHARS_READ_FOR_COMPANY) : start], text[end : end + _CHARS_READ_FOR_COMPANY]
    if _COMPANY.search(before) is None and _COMPANY.search(after) is None:
        return False
    return number.is_whole_value()


def _recognize_card_number(number: NumberCandidate) -> Recognition:
    """By the Luhn formula. Without a label also by the prefix of a card scheme, the usual grouping and what is around.

    One in ten numbers passes the Luhn formula by chance, so an unlabelled number has to be a whole value.
    """
    if not check_digits.passes_luhn(number.digits) or number.label_kind.startswith("NATIONAL_ID"):
        return None
    is_bare = number.grouping == (len(number.digits),)
    if is_bare and number.adjacent_label_kind in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if number.label_kind == "CREDIT_CARD":
        return PIIKind.CREDIT_CARD, 0.98, "check-digit"
    if not check_digits.has_card_scheme_prefix(number.digits) or number.adjacent_label_kind == OTHER:
        return None
    has_usual_form = is_bare or (number.grouping in _CARD_GROUPINGS and number.separators[0] in "- ./")
    if not has_usual_form or len(set(number.separators)) > 1 or not number.is_whole_value():
        return None
    return PIIKind.CREDIT_CARD, 0.9 if is_bare else 0.98, "check-digit"


def _recognize_driver_license(number: NumberCandidate) -> Recognition:
    """11-12-345678-90: the first part is a licensing office. Digits without separators also need the label."""
    office = int(number.digits[:2])
    if not _FIRST_LICENSING_OFFICE <= office <= _LAST_LICENSING_OFFICE:
        return None
    if number.adjacent_label_kind in _ACCOUNT_OR_OTHER_LABELS:
        return None
    if number.label_kind == "DRIVER_LICENSE":
        return PIIKind.DRIVER_LICENSE, 0.97, "label"
    return (PIIKind.DRIVER_LICENSE, 0.9, "shape") if number.grouping == (2, 2, 6, 2) else None


def _recognize_us_ssn(number: NumberCandidate) -> Recognition:
    """123-45-6789 in the ranges that are issued. Other forms, and the values of other fields, need the label."""
    if not check_digits.is_valid_us_ssn(number.digits) or number.adjacent_label_kind in _ACCOUNT_OR_OTHER_LABELS:
        return None
    hyphenated = number.grouping == (3, 2, 4) and number.separators == "--"
    if number.label_kind == "US_SSN" or (hyphenated and number.label_kind in _TAXPAYER_LABELS):
        return PIIKind.US_SSN, 0.95, "label"
    text, start, end = number.source.text, number.start, number.end
    if number.grouping == (3, 2, 4) and _SSN_BEFORE.search(
        number.source.lowered, max(0, start - _CHARS_READ_FOR_SSN), start
    ):
        return PIIKind.US_SSN, 0.9, "label"
    if (
        not hyphenated
        or number.label_kind == OTHER
        or has_specific_name_before(text, start)
        or is_in_path_or_url(text, start, end)
    ):
        return None
    if _HANGUL.search(text, max(0, start - _CHARS_READ_FOR_LANGUAGE), end + _CHARS_READ_FOR_LANGUAGE) is not None:
        return None
    return PIIKind.US_SSN, 0.8, "shape"


def _recognize_bank_account(number: NumberCandidate) -> Recognition:
    """Korean accounts have no check digit and any grouping: a label or the name of a bank beside them decides."""
    if number.has_plus or len(set(number.separators)) > 1:
        return None
    if number.label_kind not in _ACCOUNT_LABELS:
        return _recognize_unlabelled_account(number)
    if not number.adjacent_label_kind and is_timestamp(number):
        return None
    if number.label_kind == "BANK_ACCOUNT":
        return PIIKind.BANK_ACCOUNT, _HIGHEST_SCORE_OF_ACCOUNT if number.adjacent_label_kind else 0.7, "label"
    if len(number.digits) >= 10:
        return PIIKind.BANK_ACCOUNT, _HIGHEST_SCORE_OF_ACCOUNT if number.adjacent_label_kind else 0.65, "bank"
    return None


def _recognize_unlabelled_account(number: NumberCandidate) -> Recognition:
    """In front of a holder and a bank, or in a transfer `from=… to=…`."""
    text, start, end = number.source.text, number.start, number.end
    if _HOLDER_AND_BANK_AFTER.match(text, end) and number.adjacent_label_kind != OTHER:
        return PIIKind.BANK_ACCOUNT, 0.65, "bank"
    if _FROM_OR_TO.search(text, max(0, start - _MAX_FROM_OR_TO_LENGTH), start):
        is_transfer = _TRANSFER.search(number.source.lowered, max(0, start - _CHARS_READ_FOR_TRANSFER), start)
        return (PIIKind.BANK_ACCOUNT, 0.65, "label") if is_transfer and not is_timestamp(number) else None
    return None


def _recognize_british_account(number: NumberCandidate) -> Recognition:
    """Eight digits with an adjacent label and a sort code or BSB beside them."""
    if number.adjacent_label_kind != "BANK_ACCOUNT" or number.grouping != (8,):
        return None
    start, end = max(0, number.start - _CHARS_READ_FOR_SORT_CODE), number.end + _CHARS_READ_FOR_SORT_CODE
    has_sort_code = _SORT_CODE.search(number.source.lowered[start:end]) is not None
    return (PIIKind.BANK_ACCOUNT, 0.8, "label") if has_sort_code else None


_RULES_BY_DIGIT_COUNT: Mapping[int, tuple[Callable[[NumberCandidate], Recognition], ...]] = {
    8: (recognize_phone_number, recognize_national_number, _recognize_british_account),
    9: (recognize_phone_number, _recognize_us_ssn, recognize_national_number, _recognize_bank_account),
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
        may_be_account = True
        for recognize in _RULES_BY_DIGIT_COUNT.get(len(number.digits), ()):
            if recognize is _recognize_bank_account and not may_be_account:
                continue
            recognition = recognize(number)
            if recognition is not None:
                kind, score, why = recognition
                yield Finding(kind, number.start, number.end, score, why)
                # the configuration can leave out national ids
                if score > _HIGHEST_SCORE_OF_ACCOUNT and kind is not PIIKind.NATIONAL_ID:
                    may_be_account = False


NUMBERS = Rule(NUMBER_GATE, _find_numbers)
