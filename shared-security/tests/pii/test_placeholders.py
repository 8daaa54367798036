"""Placeholders such as `[PHONE_7KQ2MZ]` are never personal data, and nothing beside them is missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import Finding, PIIKind, get_pii_detector
from security_common.pii.placeholders import find_placeholders, new_placeholder, without_placeholders

detector = get_pii_detector()
PHONE, PERSON = "[PHONE_7KQ2MZ]", "[PERSON_B3XW4T]"
SENTENCES = [
    "연락처: {}",
    "주민등록번호 {} 입니다",
    "{}님께 연락해 주세요",
    "password={}",
    "token: {}, card: {}",
    '{{"phone": "{}"}}',
    "name,phone\n{},{}\n",
    "주소: 서울특별시 강남구 {}",
    "Dear {}, call {}",
    "여권번호 {}",
]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("kind", PIIKind)
def test_a_placeholder_is_never_a_finding(sentence: str, kind: PIIKind) -> None:
    placeholder = new_placeholder(kind)
    text = sentence.format(placeholder, placeholder)
    places = [(each.start, each.end) for each in find_placeholders(text)]
    assert len(places) == sentence.count("{}")
    for finding in detector.scan_text(text):
        assert all(finding.end <= start or end <= finding.start for start, end in places)
    assert detector.mask_text(text).count(placeholder) == len(places)


@pytest.mark.parametrize("field_name", ["phone", "password", "주민등록번호", "name", "카드번호", "address"])
def test_a_placeholder_is_not_a_finding_under_the_name_of_a_field(field_name: str) -> None:
    assert detector.scan_text(PHONE, field_name=field_name) == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"{PERSON} 010-1234-5678", f"{PERSON} 010-****-5678"),
        (f"hong@example.com, {PHONE}", f"h***@example.com, {PHONE}"),
        (f"연락처: {PHONE}, 010-1234-5678", f"연락처: {PHONE}, 010-****-5678"),
    ],
)
def test_personal_data_beside_a_placeholder_is_masked(text: str, masked: str) -> None:
    assert detector.mask_text(text) == masked


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"서울시 {PHONE} 101호", ["서울시 ", " 101호"]),
        (f"{PHONE} 서울시 {PERSON}", [" 서울시 "]),
        (f"{PHONE}님", []),
        (f"{PHONE}{PERSON}", []),
        (f"서울시{PHONE}", ["서울시"]),
        ("서울시 101호", ["서울시 101호"]),
    ],
)
def test_a_finding_around_placeholders_keeps_the_parts_beside_them(text: str, parts: list[str]) -> None:
    found = without_placeholders([Finding(PIIKind.ADDRESS, 0, len(text), 0.9, "label")], text)
    assert [text[finding.start : finding.end] for finding in found] == parts


@pytest.mark.parametrize(
    "text",
    [
        "[PHONE_NUMBER]",  # a variable of a template
        "[PHONE_880101]",  # a date of birth
        "[PHONE_234567]",  # digits only
        "[PHONE_BCDFGH]",  # letters only
        "[PHONE_7KQ2M]",
        "[PHONE_7KQ2MZZ]",
        "[phone_7kq2mz]",
        "PHONE_7KQ2MZ",
        "[ORDER_7KQ2MZ]",
        "[_7KQ2MZ]",
        "[PHONE-7KQ2MZ]",
    ],
)
def test_other_texts_in_brackets_are_not_placeholders(text: str) -> None:
    assert list(find_placeholders(text)) == []


def test_the_place_and_kind_of_a_placeholder() -> None:
    text = f"call {PHONE}{PERSON}"
    assert list(find_placeholders(text)) == [(PIIKind.PHONE, 5, 19), (PIIKind.PERSON, 19, 34)]


@given(st.sampled_from(PIIKind))
def test_a_new_placeholder_has_the_form(kind: PIIKind) -> None:
    placeholder = new_placeholder(kind)
    assert list(find_placeholders(placeholder)) == [(kind, 0, len(placeholder))]


def test_many_brackets_take_linear_work() -> None:
    assert list(find_placeholders("[" * 50_000 + "[PHONE_" * 20_000)) == []
