"""The policy `tokenize`: placeholders in results, values of the declared kinds in arguments, and the audit event."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from security_common.audit import Journal
from security_common.encryption import EncryptionService
from security_common.pii import PIIKind
from security_common.pii.placeholders import find_placeholders, new_placeholder
from security_common.tool_policy import (
    Identifier,
    InMemoryPlaceholderStore,
    PlaceholderInvalid,
    PlaceholderLimitReached,
    PlaceholdersUnavailable,
    TooMuchData,
    UnsupportedValue,
    configure,
    secure_tool,
)
from security_common.tool_policy.placeholder_store import PersonalValue

RecordedCalls = Callable[[], list[dict[str, Any]]]
NAME, EMAIL, PHONE = "홍길동", "hong@example.com", "010-1234-5678"
PERSON = {"name": NAME, "email": EMAIL, "phone": PHONE, "department": "개발팀"}
ME, SOMEONE_ELSE = "u_1", "u_2"
INVENTED = "[PHONE_2B3C4D]"


@secure_tool(pii_policy="tokenize")
async def look_up(user_id: str) -> dict[str, str]:
    return dict(PERSON)


@secure_tool(pii_policy="tokenize")
async def repeat(content: Any, user_id: str) -> Any:
    return content


received: list[Any] = []


@secure_tool(pii_policy="tokenize", reveal=["PHONE"])
async def send(to: Any, user_id: str, text: Any = "") -> str:
    received.append((to, text))
    return f"sent to {to}: {text}"


@pytest.fixture(autouse=True)
def _nothing_received() -> None:
    received.clear()


def person(owner: str = ME) -> dict[str, str]:
    return asyncio.run(look_up(user_id=owner))


def assert_no_clear_value(output: object) -> None:
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, default=str)
    for value in (NAME, EMAIL, PHONE, "01012345678"):
        assert value not in text


def test_each_personal_value_of_a_result_becomes_a_placeholder(recorded_calls: RecordedCalls) -> None:
    found = person()
    kinds = {name: [each.kind for each in find_placeholders(value)] for name, value in found.items()}
    assert kinds == {"name": ["PERSON"], "email": ["EMAIL"], "phone": ["PHONE"], "department": []}
    assert all(value.startswith("[") and value.endswith("]") for name, value in found.items() if name != "department")
    assert person() == found
    (event, _) = recorded_calls()
    assert event["action_taken"] == "executed_with_placeholders"
    assert event["pii_kinds"] == {"PERSON": 1, "EMAIL": 1, "PHONE": 1}
    assert "revealed_kinds" not in event


def test_placeholders_of_another_owner_differ() -> None:
    mine, theirs = person(ME), person(SOMEONE_ELSE)
    assert {mine["name"], mine["email"], mine["phone"]}.isdisjoint(theirs.values())


def test_a_value_of_a_declared_kind_is_put_back_and_returned_as_its_placeholder(recorded_calls: RecordedCalls) -> None:
    found = person()
    sent = asyncio.run(send(found["phone"], user_id=ME, text=f"For {found['name']}, {found['email']}"))
    assert received == [(PHONE, f"For {found['name']}, {found['email']}")]
    assert sent == f"sent to {found['phone']}: For {found['name']}, {found['email']}"
    event = recorded_calls()[1]
    assert event["action_taken"] == "executed_with_placeholders"
    assert event["revealed_kinds"] == {"PHONE": 1}
    assert event["contains_pii"] is True


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("call {phone} now", f"call {PHONE} now"),
        ("{phone}{phone}", PHONE + PHONE),
        ("{phone}, {name}; {phone}", f"{PHONE}, {{name}}; {PHONE}"),
        (["{phone}", {"to": "{phone}"}], [PHONE, {"to": PHONE}]),
        ({"{phone}": 1}, {PHONE: 1}),
        ('{{"to": ["{phone}", "{name}"], "n": 1}}', f'{{"to": ["{PHONE}", "{{name}}"], "n": 1}}'),
        ("<b>{phone}</b>", f"<b>{PHONE}</b>"),
        ("{phone}으로 {name}에게", f"{PHONE}으로 {{name}}에게"),
        (b"to {phone}", f"to {PHONE}".encode()),
    ],
)
def test_placeholders_are_put_back_wherever_they_are(argument: Any, expected: Any) -> None:
    found = person()

    def with_placeholders(data: Any) -> Any:
        if isinstance(data, str):
            return data.format(**found)
        if isinstance(data, bytes):
            return data.decode().format(**found).encode()
        if isinstance(data, list):
            return [with_placeholders(each) for each in cast("list[Any]", data)]
        if isinstance(data, dict):
            members = cast("dict[str, Any]", data)
            return {with_placeholders(key): with_placeholders(each) for key, each in members.items()}
        return data

    def with_names(data: Any) -> Any:
        return data.replace("{name}", found["name"]) if isinstance(data, str) else data

    asyncio.run(send(with_placeholders(argument), user_id=ME))
    assert received == [(with_names(expected), "")]


@pytest.mark.parametrize("kind", ["invented", "foreign", "expired", "forgotten"])
@pytest.mark.parametrize("where", ["argument", "text", "not revealed"])
def test_placeholders_that_the_caller_does_not_have_are_refused_with_one_sentence(
    kind: str, where: str, journal: Journal, recorded_calls: RecordedCalls
) -> None:
    seconds = [0.0]
    store = InMemoryPlaceholderStore(lifetime_seconds=60, clock=lambda: seconds[0])
    configure(journal=journal, placeholders=store)
    name = "email" if where == "not revealed" else "phone"
    placeholder = person(SOMEONE_ELSE if kind == "foreign" else ME)[name]
    if kind == "invented":
        placeholder = new_placeholder(PIIKind(name.upper()))
    if kind == "expired":
        seconds[0] += 60
    if kind == "forgotten":
        asyncio.run(store.forget(ME))
    content = f"call {placeholder} and {placeholder}" if where == "text" else placeholder
    with pytest.raises(PlaceholderInvalid) as refused:
        asyncio.run(send(content, user_id=ME))
    assert refused.value.description == f"these placeholders for personal data are not valid for you: {placeholder}"
    assert received == []
    event = recorded_calls()[-1]
    assert (event["action_taken"], event["outcome"], event["reason"]) == ("rejected", "refused", "invalid_placeholder")
    assert "revealed_kinds" not in event


def test_one_invalid_placeholder_refuses_the_whole_call(recorded_calls: RecordedCalls) -> None:
    with pytest.raises(PlaceholderInvalid) as refused:
        asyncio.run(send([person()["phone"], INVENTED], user_id=ME))
    assert INVENTED in refused.value.description
    assert received == []
    assert "revealed_kinds" not in recorded_calls()[-1]


def test_values_that_the_caller_writes_in_clear() -> None:
    """Those of the kinds in `reveal` reach the tool; the others are masked, so that no guess can be confirmed."""
    asyncio.run(send("010-9999-8888", user_id=ME, text=f"to {EMAIL}"))
    assert received == [("010-9999-8888", "to h***@example.com")]
    asyncio.run(repeat(PHONE, user_id=ME))
    assert asyncio.run(repeat([PHONE, person()["phone"]], user_id=ME)) == ["010-****-5678", person()["phone"]]


def test_a_value_that_looks_like_a_placeholder_reveals_nothing(journal: Journal) -> None:
    """A stored value or a result can contain the text of a placeholder. Only placeholders in arguments are put back."""
    store = InMemoryPlaceholderStore()
    configure(journal=journal, placeholders=store)
    phone = person()["phone"]
    trap = PersonalValue(PIIKind.PHONE, "trap")
    placeholder = asyncio.run(store.assign(ME, {trap: f"see {phone}"}))[trap]
    asyncio.run(send(placeholder, user_id=ME))
    assert received == [(f"see {phone}", "")]

    @secure_tool(pii_policy="tokenize")
    async def untrusted(user_id: str) -> str:
        return f"{INVENTED} {phone}"

    assert asyncio.run(untrusted(user_id=ME)) == f"{INVENTED} {phone}"


@pytest.mark.parametrize("policy", ["mask", "encrypt", "reject", "observe"])
def test_other_policies_leave_placeholders_alone(policy: Any, encryption: EncryptionService) -> None:
    del encryption

    @secure_tool(pii_policy=policy)
    async def note(text: str, user_id: str) -> str:
        return text

    text = f"연락처: {person()['phone']}, {INVENTED}"
    assert asyncio.run(note(text, user_id=ME)) == text


def test_an_identifier_keeps_its_placeholder() -> None:
    @secure_tool(pii_policy="tokenize", reveal=["PHONE"])
    async def find(record: Annotated[str, Identifier], user_id: str) -> str:
        return record

    phone = person()["phone"]
    assert asyncio.run(find(phone, user_id=ME)) == phone


def test_what_a_tool_received_does_not_come_back_in_clear() -> None:
    """The detector does not find every name in every sentence, so values that were put back are searched as well."""

    @secure_tool(pii_policy="tokenize", reveal=["PERSON", "PHONE"])
    async def greet(name: str, phone: str, user_id: str) -> dict[str, Any]:
        return {"greeting": f"{name}|{name}에게 x{phone}", "digits": phone.replace("-", ""), "key": {name: 1}}

    found = person()
    greeting = asyncio.run(greet(found["name"], found["phone"], user_id=ME))
    assert_no_clear_value(greeting)
    assert greeting["greeting"].startswith(f"{found['name']}|{found['name']}에게 ")
    assert greeting["digits"] == found["phone"]
    assert greeting["key"] == {found["name"]: 1}


def nested_error(text: str) -> Exception:
    return RuntimeError({"detail": text})


@pytest.mark.parametrize("make_error", [ValueError, nested_error])
def test_errors_are_masked_and_keep_placeholders(make_error: Any, recorded_calls: RecordedCalls) -> None:
    found = person()

    @secure_tool(pii_policy="tokenize", reveal=["PERSON"])
    async def fail(name: str, user_id: str) -> str:
        raise make_error(f"no mailbox: {name}, {EMAIL}, {found['phone']}")

    with pytest.raises(Exception, match=r"no mailbox") as failed:
        asyncio.run(fail(found["name"], user_id=ME))
    assert_no_clear_value(f"{failed.value} {failed.value.args}")
    assert found["phone"] in str(failed.value)
    assert recorded_calls()[-1]["revealed_kinds"] == {"PERSON": 1}


class Contact(BaseModel):
    name: str
    phone: str
    notes: list[str] = []


@dataclass(frozen=True)
class Card:
    name: str
    number: str


def test_models_and_dataclasses_have_placeholders() -> None:
    found = person()

    @secure_tool(pii_policy="tokenize")
    async def contacts(user_id: str) -> Any:
        return [Contact(name=NAME, phone=PHONE, notes=[f"mail {EMAIL}"]), Card(NAME, "4111 1111 1111 1111")]

    contact, card = asyncio.run(contacts(user_id=ME))
    assert contact == Contact(name=found["name"], phone=found["phone"], notes=[f"mail {found['email']}"])
    assert card.name == found["name"]
    assert [each.kind for each in find_placeholders(card.number)] == [PIIKind.CREDIT_CARD]


def test_a_personal_number_becomes_a_placeholder() -> None:
    @secure_tool(pii_policy="tokenize")
    async def number(user_id: str) -> dict[str, Any]:
        return {"phone": 1012345678}

    assert [each.kind for each in find_placeholders(asyncio.run(number(user_id=ME))["phone"])] == [PIIKind.PHONE]


def test_personal_data_in_binary_content_is_refused() -> None:
    with pytest.raises(UnsupportedValue):
        asyncio.run(look_at_image(user_id=ME))


@secure_tool(pii_policy="tokenize")
async def look_at_image(user_id: str) -> bytes:
    return b"\xff\x00\xff\x80\x00" + PHONE.encode() + b"\x00\xff"


def test_json_in_text_stays_json() -> None:
    @secure_tool(pii_policy="tokenize")
    async def export(user_id: str) -> str:
        return json.dumps([PERSON, PERSON], ensure_ascii=False)

    rows = json.loads(asyncio.run(export(user_id=ME)))
    assert rows == [person(), person()]


def test_arguments_may_have_another_policy_than_the_result() -> None:
    @secure_tool(pii_policy="mask", result_policy="tokenize")
    async def masked(text: str, user_id: str) -> list[str]:
        return [text, PHONE]

    @secure_tool(pii_policy="tokenize", result_policy="mask", reveal=["PHONE"])
    async def revealed(text: str, user_id: str) -> list[str]:
        return [text, EMAIL]

    phone = person()["phone"]
    assert asyncio.run(masked(PHONE, user_id=ME)) == ["010-****-5678", phone]
    assert asyncio.run(revealed(phone, user_id=ME)) == ["010-****-5678", "h***@example.com"]


def test_the_number_of_placeholders_in_arguments_is_limited() -> None:
    placeholders = [f"[PHONE_{digit}{letter}BCDF]" for digit in "23456789" for letter in "BCDFGHJKMNPQRST"]
    with pytest.raises(TooMuchData, match="more than 100 different placeholders"):
        asyncio.run(send(placeholders, user_id=ME))


def test_a_result_with_more_values_than_an_owner_may_have_is_withheld(journal: Journal) -> None:
    configure(journal=journal, placeholders=InMemoryPlaceholderStore(per_owner=2))
    with pytest.raises(PlaceholderLimitReached):
        person()


class StoppedStore(InMemoryPlaceholderStore):
    """A store whose server does not answer."""

    async def assign(self, owner: str, values: Mapping[PersonalValue, str]) -> Mapping[PersonalValue, str]:
        raise PlaceholdersUnavailable("the placeholder store does not answer")


def test_nothing_is_sent_in_clear_if_the_store_does_not_answer(journal: Journal, recorded_calls: RecordedCalls) -> None:
    configure(journal=journal, placeholders=StoppedStore())
    with pytest.raises(PlaceholdersUnavailable) as failed:
        person()
    assert_no_clear_value(str(failed.value))
    event = recorded_calls()[-1]
    assert (event["outcome"], event["reason"]) == ("failure", "temporarily_unavailable")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"pii_policy": "tokenize", "reveal": ["FAX"]}, "unknown kinds of personal data: FAX"),
        ({"pii_policy": "mask", "reveal": ["PHONE"]}, "no effect"),
        ({"pii_policy": "mask", "result_policy": "tokenize", "reveal": ["PHONE"]}, "no effect"),
    ],
)
def test_a_wrong_declaration_is_refused(options: Any, problem: str) -> None:
    async def tool() -> None: ...

    with pytest.raises(ValueError, match=problem):
        secure_tool(**options)(tool)


@pytest.mark.parametrize("options", [{"pii_policy": "tokenize"}, {"pii_policy": "mask", "result_policy": "tokenize"}])
def test_a_synchronous_function_is_refused(options: Any) -> None:
    def tool() -> None: ...

    with pytest.raises(TypeError, match="define it with async def"):
        secure_tool(**options)(tool)


def test_reveal_is_a_list_of_kinds() -> None:
    async def tool() -> None: ...

    with pytest.raises(TypeError, match=r'write reveal=\["PHONE"\]'):
        secure_tool(pii_policy="tokenize", reveal="PHONE")(tool)


VALUES = st.builds("010-{}-{}".format, st.integers(2000, 9999), st.integers(1000, 9999))
SHAPES: tuple[Callable[[list[str]], Any], ...] = (
    list,
    " 연락처: ".join,
    lambda values: {"phones": [{"phone": value} for value in values]},
    lambda values: json.dumps({"phones": values}),
    lambda values: {f"연락처 {value}": value for value in values},
)


@given(values=st.lists(VALUES, min_size=1, max_size=4), shape=st.sampled_from(SHAPES))
def test_a_round_trip_returns_every_value_to_the_tool_and_none_to_the_client(
    values: list[str], shape: Callable[[list[str]], Any]
) -> None:
    @secure_tool(pii_policy="tokenize")
    async def produce(user_id: str) -> Any:
        return shape(values)

    async def play() -> tuple[Any, str]:
        result = await produce(user_id=ME)
        return result, await send(result, user_id=ME)

    result, sent = asyncio.run(play())
    output = json.dumps([result, sent], ensure_ascii=False)
    assert all(value not in output and value.replace("-", "") not in output for value in values)
    assert received[-1] == (shape(values), "")
