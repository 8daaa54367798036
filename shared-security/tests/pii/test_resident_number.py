"""Resident registration numbers: check digit, date of birth, label and format."""

from datetime import date

import pytest

from security_common.pii import PIIDetector, PIIKind
from security_common.pii.resident_number import has_valid_check_digit

detector = PIIDetector(today=lambda: date(2026, 11, 30))


@pytest.mark.parametrize("citizen_or_foreigner", ["880101123456", "020304456789", "850505567890", "100101812345"])
def test_exactly_one_check_digit_is_valid(citizen_or_foreigner: str) -> None:
    valid = [digit for digit in "0123456789" if has_valid_check_digit(citizen_or_foreigner + digit)]
    assert len(valid) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("880101-1234568", "check-digit"),
        ("8801011234568", "check-digit"),
        ("주민등록번호 8801011234567", "label"),
        ("210304-3456789", "birth-date"),  # issued after October 2020, so without a check digit
        ("주민번호 앞자리 210304, 뒷자리 3456789", "label"),
    ],
)
def test_a_number_is_found_by_check_digit_label_or_format(text: str, why: str) -> None:
    assert [(finding.kind, finding.why) for finding in detector.scan_text(text)] == [(PIIKind.KR_RRN, why)]


@pytest.mark.parametrize(
    "text",
    [
        "8801011234567",  # no valid check digit, no label, no hyphen
        "주민등록번호 880231-1234568",  # no such day
        "주민등록번호 261201-3456789",  # after today
        "주문번호 880101-1234567",  # the label says otherwise
    ],
)
def test_other_numbers_are_not_resident_numbers(text: str) -> None:
    assert PIIKind.KR_RRN not in {finding.kind for finding in detector.scan_text(text)}
