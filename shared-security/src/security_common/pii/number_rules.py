"""Numbers that somebody gives out: authorities, card schemes, banks. Check digits decide where they exist."""

import re
from collections.abc import Callable, Iterator, Mapping

from security_common.pii import check_digits
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import BANK, OTHER
from security_common.pii.number_candidates import Number, numbers_in
from security_common.pii.phone_numbers import Verdict, judge_phone
from security_common.pii.reading import Reading, Rule

__all__ = ["HALVES", "NUMBERS"]

_FIRST_REGION, _LAST_REGION = 11, 28
_ACCOUNTS = frozenset({"BANK_ACCOUNT", BANK})
_ACCOUNTS_OR_OTHER = _ACCOUNTS | {OTHER}
_HALVES = re.compile(r"([0-9]{6})(?<![0-9]{7})[^-0-9\n][^0-9\n]{0,13}([0-9]{7})(?![0-9])")


def _judge_resident_number(number: Number) -> Verdict:
    """A day of birth that has been, and check digit, hyphen or label: numbers since 2020 end at random."""
    birth = check_digits.birth_date_of_resident_number(number.digits)
    if birth is None or birth > number.reading.today or number.called == "CORP_NUMBER":
        return None
    labelled = number.labelled == "KR_RRN"
    if number.digits[6] in "90" and not labelled:
        return None
    if check_digits.has_valid_check_digit(number.digits):
        if number.parts == (13,) and number.labelled == OTHER:
            return None
        return PIIKind.KR_RRN, 0.99 if labelled or number.parts == (6, 7) else 0.9, "check-digit"
    if labelled:
        return PIIKind.KR_RRN, 0.9, "label"
    if number.parts == (6, 7) and number.joints == "-" and number.labelled not in _ACCOUNTS_OR_OTHER | {"CORP_NUMBER"}:
        return PIIKind.KR_RRN, 0.75, "birth-date"
    return None


def _judge_corporate_number(number: Number) -> Verdict:
    """By its label, which a resident number never has; without one by check digit and registry office."""
    digits = number.digits
    if number.labelled == "CORP_NUMBER" and digits[0] in "12":
        return PIIKind.CORP_NUMBER, 0.995 if number.called == "CORP_NUMBER" else 0.9, "label"
    if number.parts != (6, 7) or number.joints != "-" or number.labelled in _ACCOUNTS_OR_OTHER | {"KR_RRN"}:
        return None
    plausible = digits[0] in "12" and digits[4:6] in {"11", "12", "13", "14", "15", "21", "22", "71", "81"}
    return (PIIKind.CORP_NUMBER, 0.7, "check-digit") if plausible and check_digits.is_corporate_number(digits) else None


def _judge_business_number(number: Number) -> Verdict:
    """123-45-67890 by its check digit; digits alone also need the label."""
    if not check_digits.is_business_number(number.digits) or number.called == OTHER:
        return None
    labelled = number.labelled == "BUSINESS_NUMBER"
    if number.parts == (3, 2, 5):
        if number.called in _ACCOUNTS:
            return None
        return PIIKind.BUSINESS_NUMBER, 0.97 if labelled else 0.92, "check-digit"
    return (PIIKind.BUSINESS_NUMBER, 0.95, "check-digit") if labelled else None


def _judge_card_number(number: Number) -> Verdict:
    """Luhn, and the first digits of a card scheme unless the label says card."""
    if not check_digits.is_card_number(number.digits):
        return None
    labelled = number.labelled == "CREDIT_CARD"
    if not labelled and (not check_digits.has_issuer(number.digits) or number.called == OTHER):
        return None
    if number.parts == (len(number.digits),) and number.called in _ACCOUNTS_OR_OTHER:
        return None
    return PIIKind.CREDIT_CARD, 0.98 if labelled or number.joints else 0.9, "check-digit"


def _judge_driver_license(number: Number) -> Verdict:
    """11-12-345678-90: the first part is a licensing office; digits alone also need the label."""
    if not _FIRST_REGION <= int(number.digits[:2]) <= _LAST_REGION or number.called in _ACCOUNTS_OR_OTHER:
        return None
    if number.labelled == "DRIVER_LICENSE":
        return PIIKind.DRIVER_LICENSE, 0.97, "label"
    return (PIIKind.DRIVER_LICENSE, 0.9, "shape") if number.parts == (2, 2, 6, 2) else None


def _judge_social_security_number(number: Number) -> Verdict:
    """123-45-6789 by the ranges that are given out; digits alone also need the label."""
    if not check_digits.is_social_security_number(number.digits) or number.called in _ACCOUNTS_OR_OTHER:
        return None
    if number.labelled == "US_SSN":
        return PIIKind.US_SSN, 0.95, "label"
    hyphenated = number.parts == (3, 2, 4) and number.joints == "--"
    return (PIIKind.US_SSN, 0.8, "shape") if hyphenated and number.labelled != OTHER else None


def _judge_account(number: Number) -> Verdict:
    """Korean accounts have no check digit and any grouping: a label or a bank's name beside them decides."""
    if number.plus or len(set(number.joints)) > 1:
        return None
    if number.labelled == "BANK_ACCOUNT":
        return PIIKind.BANK_ACCOUNT, 0.85 if number.called else 0.7, "label"
    if number.labelled == BANK and len(number.digits) >= 10:
        return PIIKind.BANK_ACCOUNT, 0.85 if number.called else 0.65, "bank"
    return None


def _judge_foreign_passport(number: Number) -> Verdict:
    """Nine digits, as in the United States and the United Kingdom, only when they are called a passport."""
    return (PIIKind.PASSPORT, 0.85, "label") if number.called == "PASSPORT" and number.parts == (9,) else None


# The rules by the number of digits they judge.
_BY_DIGITS: Mapping[int, tuple[Callable[[Number], Verdict], ...]] = {
    8: (judge_phone,),
    9: (judge_phone, _judge_social_security_number, _judge_foreign_passport, _judge_account),
    10: (judge_phone, _judge_business_number, _judge_account),
    11: (judge_phone, _judge_account),
    12: (judge_phone, _judge_driver_license, _judge_account),
    13: (judge_phone, _judge_resident_number, _judge_corporate_number, _judge_account),
    14: (judge_phone, _judge_card_number, _judge_account),
    15: (judge_phone, _judge_card_number, _judge_account),
    16: (_judge_card_number, _judge_account),
    19: (_judge_card_number,),
}


def _find_numbers(reading: Reading) -> Iterator[Finding]:
    """Every number that some rule recognises; the conflict rule settles those that overlap."""
    for number in numbers_in(reading):
        for judge in _BY_DIGITS.get(len(number.digits), ()):
            if verdict := judge(number):
                kind, score, why = verdict
                yield Finding(kind, number.start, number.end, score, why)


def _find_halves(reading: Reading) -> Iterator[Finding]:
    """A resident number told in two halves: 앞자리 900101, 뒷자리 1234567."""
    for match in _HALVES.finditer(reading.text):
        label = reading.labels.before(match.start())
        if label.name == "KR_RRN" and check_digits.birth_date_of_resident_number(match[1] + match[2]):
            yield Finding(PIIKind.KR_RRN, match.start(), match.end(), 0.97, "label")


HALVES = Rule(r"[0-9]{6}[^-0-9\n][^0-9\n]{0,13}[0-9]{7}", _find_halves)
NUMBERS = Rule(r"[0-9](?:[^0-9]{0,6}[0-9]){6}", _find_numbers)
