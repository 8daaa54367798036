"""Short numbers are not searched: the whole search would find nothing in them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import FieldContext, PIIConfiguration, PIIDetector, field_context
from security_common.pii.configuration import CustomPattern
from security_common.pii.short_numbers import is_short_number

DETECTOR = PIIDetector()
FIELDS = (
    "count",
    "order_no",
    "phone",
    "cardNo",
    "status",
    "id",
    "전화번호",
    "주문번호",
    "bucketName",
    "value",
    "ip",
    "zip",
)
CONTEXTS = [FieldContext(), *map(field_context, FIELDS)]


def search_without_check(text: str, context: FieldContext) -> list[object]:
    """The findings of the rules, whether or not the text is a short number."""
    return list(DETECTOR._search_value(text, context))


@pytest.mark.parametrize(
    "text", ["0", "42", "1234567", "010-****-5678", "+82 10-****-5678", "(02) 123", "*" * 16 + "1234"]
)
@pytest.mark.parametrize("name", ["phone", "count", "id", "cardNo"])
def test_short_numbers_and_masks(text: str, name: str) -> None:
    assert is_short_number(text, field_context(name))
    assert search_without_check(text, field_context(name)) == []


@pytest.mark.parametrize("text", ["12345678", "1234-5678", "10.0.0.1", "7a", "1" * 41])
def test_other_values_are_searched(text: str) -> None:
    assert not is_short_number(text, field_context("phone"))


@pytest.mark.parametrize("name", ["birthDate", "password", "rrn", "name", "address", "user_id"])
def test_fields_whose_values_can_be_short_are_searched(name: str) -> None:
    assert not is_short_number("900101", field_context(name))
    assert not is_short_number("900101", FieldContext("tel1", "PHONE", "phone", is_part=True))


@given(
    st.one_of(
        st.text("0123456789-+*() ", max_size=40),
        st.integers(0, 9_999_999).map(str),
        st.from_regex(r"[0-9]{1,4}(-[0-9*]{1,4}){1,3}", fullmatch=True),
    ),
    st.sampled_from(CONTEXTS),
)
def test_the_whole_search_finds_nothing_in_a_short_number(text: str, context: FieldContext) -> None:
    if is_short_number(text, context):
        assert search_without_check(text, context) == []


def test_custom_patterns_are_searched_in_short_numbers() -> None:
    pattern = CustomPattern("LOCKER", re.compile(r"\b[0-9]{3}\b"))
    detector = PIIDetector(PIIConfiguration(patterns=(pattern,)))
    assert [each.kind for each in detector.scan_text("217", field_name="count")] == ["CUSTOM"]
