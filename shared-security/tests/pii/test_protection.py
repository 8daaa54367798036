"""Operators by kind and tool, allowed values, own patterns and keyed pseudonyms."""

from collections.abc import Callable
from pathlib import Path

import pytest

from security_common.pii import PIIKind, get_pii_detector
from security_common.protection import (
    BadProtection,
    Operator,
    PersonalDataRejected,
    Protector,
    PseudonymKey,
    load_protection,
)
from security_common.protection.configuration import parse_protection

KEY = PseudonymKey(bytes(range(32)))
TEXT = "홍길동님 hong@example.com, 010-1234-5678"


def protector(encrypt: Callable[[str], str] | None = None, **entries: object) -> Protector:
    return Protector(parse_protection(entries), get_pii_detector(), pseudonyms=KEY, encrypt=encrypt)


def test_each_kind_has_its_operator() -> None:
    guard = protector(lambda value: f"<{len(value)}>", kinds={"PERSON": "redact", "EMAIL": "encrypt", "PHONE": "keep"})

    assert guard.protect(TEXT).text == "[PERSON]님 <16>, 010-1234-5678"


def test_a_tool_has_the_last_word() -> None:
    guard = protector(default="mask", kinds={"PHONE": "redact"}, tools={"call": {"kinds": {"PHONE": "keep"}}})

    assert guard.protect("010-1234-5678").text == "[PHONE]"
    assert guard.protect("010-1234-5678", tool="call").text == "010-1234-5678"


def test_a_rejected_kind_is_named_and_its_value_is_not() -> None:
    with pytest.raises(PersonalDataRejected) as refused:
        protector(kinds={"EMAIL": "reject"}).protect(TEXT)

    assert refused.value.kinds == ("EMAIL",)
    assert "hong" not in str(refused.value) + refused.value.hint


def test_a_pseudonym_is_stable_for_a_tenant_and_spelling_and_differs_between_tenants() -> None:
    guard = protector(default="pseudonym")

    dashed = guard.protect("010-1234-5678", tenant="a").text
    assert dashed == guard.protect("01012345678", tenant="a").text
    assert dashed != guard.protect("010-1234-5678", tenant="b").text
    assert dashed.startswith(f"PHONE_{KEY.key_id}_")
    assert get_pii_detector().scan_text(dashed) == []


def test_allowed_values_pass_and_own_patterns_are_found() -> None:
    guard = protector(allow={"values": ["Support@example.com"]}, patterns={"EMPLOYEE": {"expression": "EMP-[0-9]{6}"}})

    assert guard.protect("support@example.com EMP-123456").text == "support@example.com ***"
    [found] = guard.scan_text("EMP-123456")
    assert (found.kind, found.why) == (PIIKind.CUSTOM, "pattern-EMPLOYEE")


@pytest.mark.parametrize(
    "entries",
    [
        {"defualt": "mask"},
        {"default": "shred"},
        {"kinds": {"EMIAL": "mask"}},
        {"patterns": {"A": {"expression": "(?=a)"}}},
        {"patterns": {"A": {"expression": "a*"}}},
        {"patterns": {"A": {"expression": "a" * 501}}},
        {"patterns": {str(number): {"expression": "a"} for number in range(21)}},
    ],
)
def test_a_configuration_that_cannot_be_done_is_refused(entries: dict[str, object]) -> None:
    with pytest.raises(BadProtection):
        parse_protection(entries)


def test_a_file_says_it_readably(tmp_path: Path) -> None:
    path = tmp_path / "protection.toml"
    path.write_text('default = "redact"\n[tools.show.kinds]\nEMAIL = "keep"\n', encoding="utf-8")

    protection = load_protection(path)

    assert protection.operator(PIIKind.PHONE) is Operator.REDACT
    assert protection.operator(PIIKind.EMAIL, "show") is Operator.KEEP


def test_a_weak_pseudonym_key_is_refused() -> None:
    with pytest.raises(BadProtection):
        PseudonymKey(b"\x00" * 32)
