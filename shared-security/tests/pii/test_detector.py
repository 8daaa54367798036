"""The documented interface of the detector."""

import pytest

from security_common import get_pii_detector
from security_common.pii import Finding, PIIKind

EXAMPLE = "고객 정보: 홍길동님 (hong@example.com, 010-1234-5678)"


def test_the_documented_example_is_found_in_order() -> None:
    found = get_pii_detector().scan_text(EXAMPLE)

    assert [(finding.kind, EXAMPLE[finding.start : finding.end]) for finding in found] == [
        (PIIKind.PERSON, "홍길동"),
        (PIIKind.EMAIL, "hong@example.com"),
        (PIIKind.PHONE, "010-1234-5678"),
    ]


def test_a_finding_does_not_contain_the_value() -> None:
    assert list(Finding._fields) == ["kind", "start", "end", "score", "why"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (EXAMPLE, "고객 정보: 홍*동님 (h***@example.com, 010-****-5678)"),
        ("주민등록번호 880101-1234568", "주민등록번호 880101-1******"),
        ("카드 4111-1111-1111-1111", "카드 ****-****-****-1111"),
        ("사업자등록번호 220-81-62517", "사업자등록번호 220-81-*****"),
        ("접속 203.0.113.77", "접속 203.0.*.*"),
    ],
)
def test_a_mask_leaves_enough_to_recognize_the_value(text: str, masked: str) -> None:
    detector = get_pii_detector()

    assert detector.mask_pii(text) == masked
    assert detector.mask_text(text) == masked
    assert detector.mask_text(masked) == masked


@pytest.mark.parametrize("text", ["", "hello", "안녕", "\ud800", "\x00"])
def test_a_text_that_opens_no_gate_has_no_findings(text: str) -> None:
    assert get_pii_detector().scan_text(text) == []
    assert get_pii_detector().mask_text(text) == text


@pytest.mark.parametrize("text", ["접속 03.226.211.232", "접속 121.64.08.110", "192.168.01.05"])
def test_leading_zeros_in_an_ip_address_are_not_an_error(text: str) -> None:
    assert get_pii_detector().scan_text(text) == []


def test_the_heading_of_a_column_is_the_label_of_its_cells() -> None:
    """A row with fewer cells is read from the left. Places are those in the whole text."""
    text = "성명\t계좌\t생년월일\n편도영\t302-4002-0637-91\t2003-01-23\n2001-02-03\t302-4002-0637-92\n"
    found = get_pii_detector().scan_text(text)
    assert [(finding.kind, text[finding.start : finding.end]) for finding in found] == [
        (PIIKind.PERSON, "편도영"),
        (PIIKind.BANK_ACCOUNT, "302-4002-0637-91"),
        (PIIKind.DATE_OF_BIRTH, "2003-01-23"),
        (PIIKind.BANK_ACCOUNT, "302-4002-0637-92"),
    ]
