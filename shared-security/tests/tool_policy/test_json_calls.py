"""Calls of a tool that is not a Python function here: a proxy passes arguments and result in their JSON form."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from security_common.pii import PIIKind
from security_common.strict_json import WrittenNumber
from security_common.tool_policy import (
    DeclaredArguments,
    PersonalDataRefused,
    PlaceholderInvalid,
    SecuredCall,
    SecuredTool,
    policy_dependencies,
)
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_scopes import ToolScopeRule

PHONE = "010-1234-5678"
RESULT = {"content": [{"type": "text", "text": f"call {PHONE}"}], "structuredContent": {"phone": PHONE}}


def tool(policy: str, *, identifiers: tuple[str, ...] = (), reveal: tuple[PIIKind, ...] = ()) -> SecuredTool:
    return SecuredTool(
        name="crm_find",
        policy=PIIPolicy(policy),
        result_policy=PIIPolicy(policy),
        reveal=frozenset(reveal),
        requires_encryption=False,
        log_access=True,
        scopes=ToolScopeRule(),
        signature=DeclaredArguments(identifiers),
    )


async def call(
    secured: SecuredTool, arguments: dict[str, Any], returned: dict[str, Any] = RESULT
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments as the tool receives them, and its result as it may be sent."""
    call = SecuredCall(secured, policy_dependencies())
    _, passed = await call.run(call.protect_arguments, (), arguments)
    with call:
        result = await call.run(call.protect_wire_result, returned)
    event = call.audit_event()
    assert event is not None
    assert event.tool_name == "crm_find"
    assert event.contains_pii or returned is not RESULT
    return passed, result


@pytest.mark.parametrize("name", ["user_id", "client_id", "phone", "self", "cls", "note"])
def test_arguments_are_data_whatever_their_name_is(name: str) -> None:
    passed, result = asyncio.run(call(tool("mask"), {name: PHONE, "nested": [{"contact": PHONE}]}))
    assert PHONE not in str(passed) + str(result)
    assert list(passed) == [name, "nested"]


def test_identifiers_are_passed_on_unchanged() -> None:
    passed, _ = asyncio.run(call(tool("mask", identifiers=("customer",)), {"customer": "c_4711", "note": PHONE}))
    assert passed["customer"] == "c_4711"


def test_an_identifier_with_personal_data_is_refused() -> None:
    with pytest.raises(PersonalDataRefused, match="customer: PHONE"):
        asyncio.run(call(tool("mask", identifiers=("customer",)), {"customer": PHONE}))


def test_placeholders_are_put_back_in_the_arguments_of_a_later_call() -> None:
    async def call_twice() -> dict[str, Any]:
        secured = tool("tokenize", reveal=(PIIKind.PHONE,))
        _, result = await call(secured, {})
        placeholder = result["structuredContent"]["phone"]
        assert placeholder.startswith("[PHONE_")
        passed, _ = await call(secured, {"phone": placeholder})
        return passed

    assert asyncio.run(call_twice()) == {"phone": PHONE}


def test_an_unknown_placeholder_is_refused() -> None:
    with pytest.raises(PlaceholderInvalid):
        asyncio.run(call(tool("tokenize", reveal=(PIIKind.PHONE,)), {"phone": "[PHONE_7KQ2MZ]"}))


def test_positional_values_are_an_error_of_the_program() -> None:
    async def call_with_position() -> None:
        call = SecuredCall(tool("mask"), policy_dependencies())
        await call.run(call.protect_arguments, (PHONE,), {})

    with pytest.raises(ValueError, match="have names"):
        asyncio.run(call_with_position())


@pytest.mark.parametrize("policy", ["mask", "tokenize", "observe"])
def test_a_number_keeps_its_spelling_beside_data_that_changes(policy: str) -> None:
    price, total = WrittenNumber("1.10", 1.1), WrittenNumber("2.500", 2.5)
    result = {"content": [], "structuredContent": {"price": price, "phone": PHONE}, "total": [total]}
    passed, protected = asyncio.run(call(tool(policy), {"price": price, "note": PHONE}, result))
    assert passed["price"] is price
    assert protected["structuredContent"]["price"] is price
    assert protected["total"] == [total]


@pytest.mark.parametrize("text", ["4111111111111111.00", "4111111111111111e-30", "4.111111111111111E15"])
def test_a_number_that_is_personal_data_is_masked_in_any_spelling(text: str) -> None:
    card = WrittenNumber(text, float(text))
    _, protected = asyncio.run(call(tool("mask"), {}, {"content": [], "structuredContent": {"card": card}}))
    assert protected["structuredContent"] == {"card": 0.0}


def test_a_text_that_repeats_a_number_in_another_spelling_is_searched_itself() -> None:
    text = {"type": "text", "text": '{"a":1.10}'}
    result = {"content": [text], "structuredContent": {"a": WrittenNumber("1.10", 1.1)}}
    _, protected = asyncio.run(call(tool("mask"), {}, result))
    assert protected["content"] == result["content"]


PROTOCOL_MEMBERS = ["resultType", "isError", "ttlMs", "cacheScope", "nextCursor", "requestState", "_meta", "content"]


@pytest.mark.parametrize("name", PROTOCOL_MEMBERS)
def test_a_member_of_the_protocol_with_data_is_protected(name: str) -> None:
    _, protected = asyncio.run(call(tool("mask"), {}, {"content": [], name: [PHONE]}))
    assert PHONE not in str(protected)
    assert name in protected


def test_names_of_other_members_are_protected_and_none_is_lost() -> None:
    _, protected = asyncio.run(call(tool("mask"), {}, {"content": [], PHONE: 1, "010 1234 5678": 2, "isError": False}))
    assert "5678" in str(protected)
    assert "1234" not in str(protected)
    assert sorted(map(str, protected.values())) == ["1", "2", "False", "[]"]


def test_names_of_arguments_are_data_unless_the_tool_has_declared_them() -> None:
    passed, _ = asyncio.run(call(tool("mask"), {PHONE: "a", "010 1234 5678": "b", "note": "c"}))
    assert list(passed.values()) == ["a", "b", "c"]
    assert "1234" not in str(passed)
    declared = replace(tool("mask"), signature=DeclaredArguments(names=[PHONE]))
    assert asyncio.run(call(declared, {PHONE: "a"}))[0] == {PHONE: "a"}


def test_a_refusal_does_not_repeat_the_name_of_an_argument() -> None:
    with pytest.raises(PersonalDataRefused, match="name of an argument: PHONE") as refused:
        asyncio.run(call(tool("reject"), {PHONE: PHONE}))
    assert "1234" not in str(refused.value)


def test_placeholders_are_put_back_in_names_of_arguments() -> None:
    async def call_twice() -> dict[str, Any]:
        secured = tool("tokenize", reveal=(PIIKind.PHONE,))
        _, result = await call(secured, {})
        passed, _ = await call(secured, {result["structuredContent"]["phone"]: "x"})
        return passed

    assert asyncio.run(call_twice()) == {PHONE: "x"}
