"""`secure_tool` on plain functions: the four policies, audit events, refusals and failures."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest

from security_common.audit import Journal
from security_common.encryption import EncryptionKeyMissing, EncryptionService
from security_common.tokens.access_token import AccessToken, Caller, current_caller
from security_common.tool_policy import (
    Identifier,
    PersonalDataRefused,
    ResultWithheld,
    ScopesMissing,
    ToolFailed,
    UnsupportedValue,
    bind_field,
    configure,
    owner_of,
    secure_tool,
)

RecordedCalls = Callable[[], list[dict[str, Any]]]
CLEAR = "연락처 010-1234-5678 hong@example.com"
MASKED = "연락처 010-****-5678 h***@example.com"


def run(policy: str, argument: Any, **options: Any) -> Any:
    """Calls an async and a sync echo tool. Returns the arguments that the tools received, and their results."""
    received: list[Any] = []

    @secure_tool(pii_policy=policy, **options)  # pyright: ignore[reportArgumentType] - from a parameter list
    async def echo(text: Any, client_id: str = "", user_id: str = "") -> Any:
        received.append(text)
        return text

    @secure_tool(pii_policy=policy, **options)  # pyright: ignore[reportArgumentType] - from a parameter list
    def echo_sync(text: Any, client_id: str = "", user_id: str = "") -> Any:
        received.append(text)
        return text

    results = [asyncio.run(echo(argument, client_id="c", user_id="u")), echo_sync(argument, "c", user_id="u")]
    return received, results


def test_mask_masks_arguments_and_result(recorded_calls: RecordedCalls) -> None:
    received, results = run("mask", {"memo": CLEAR, "n": [1, "ok"]})
    assert received == results == [{"memo": MASKED, "n": [1, "ok"]}] * 2
    for event in recorded_calls():
        assert (event["action_taken"], event["outcome"]) == ("executed_with_masking", "success")
        assert (event["user_id"], event["client_id"]) == ("u", "c")
        assert event["contains_pii"] is True
        assert event["pii_kinds"] == {"PHONE": 1, "EMAIL": 1}
    assert [event["tool_name"] for event in recorded_calls()] == ["echo", "echo_sync"]


def test_ciphertext_is_bound_to_owner_tool_and_argument(
    recorded_calls: RecordedCalls, encryption: EncryptionService
) -> None:
    received, results = run("encrypt", {"memo": CLEAR, "n": "ok"})
    assert received == results
    for tool, value in zip(("echo", "echo_sync"), received, strict=True):
        assert value["n"] == "ok"
        assert encryption.decrypt(value["memo"], context=bind_field(owner="u", tool=tool, name="text")) == CLEAR
    assert {event["action_taken"] for event in recorded_calls()} == {"executed_with_encryption"}


def test_requires_encryption_encrypts_every_text_but_identifiers(encryption: EncryptionService) -> None:
    @secure_tool(requires_encryption=True)
    def keep(text: str, number: int, parts: list[str], record_id: Annotated[str, Identifier], user_id: str) -> Any:
        return [text, number, parts, record_id, user_id]

    text, number, parts, record_id, user_id = keep("plain", 7, ["a", "b"], "r_1", "u")
    assert [encryption.recognizes(each) for each in (text, *parts)] == [True] * 3
    assert (number, record_id, user_id) == (7, "r_1", "u")
    assert keep(text, 7, parts, "r_1", "u")[0] == text, "ciphertext stays as it is"
    for document in ('{"salary": 5000}', "[1, 2]", '{"a": "b"}'):
        assert encryption.recognizes(keep(document, 7, parts, "r_1", "u")[0]), "JSON is text too"


def test_a_result_with_personal_data_is_encrypted(journal: Journal, encryption: EncryptionService) -> None:
    @secure_tool()
    def look_up(user_id: str) -> dict[str, str]:
        return {"phone": "010-1234-5678", "team": "ops"}

    answer = look_up(user_id="u")
    context = bind_field(owner="u", tool="look_up", name="result")
    assert answer["team"] == "ops"
    assert encryption.decrypt(answer["phone"], context=context) == "010-1234-5678"


def test_reject_names_kinds_and_argument_but_not_the_value(recorded_calls: RecordedCalls) -> None:
    with pytest.raises(PersonalDataRefused) as caught:
        run("reject", [{"deep": CLEAR}])
    assert caught.value.kinds == {"text": {"PHONE": 1, "EMAIL": 1}}
    assert caught.value.description == "personal data is not accepted here (text: EMAIL, PHONE)"
    (event,) = recorded_calls()
    assert (event["action_taken"], event["outcome"], event["reason"]) == (
        "rejected",
        "refused",
        "personal_data_refused",
    )
    assert event["contains_pii"] is True


def test_reject_withholds_a_result(recorded_calls: RecordedCalls) -> None:
    with pytest.raises(ResultWithheld):
        run("observe", CLEAR, result_policy="reject")
    assert (recorded_calls()[0]["action_taken"], recorded_calls()[0]["reason"]) == ("rejected", "result_withheld")


def test_observe_counts_findings_and_changes_nothing(recorded_calls: RecordedCalls) -> None:
    received, results = run("observe", CLEAR)
    assert received == results == [CLEAR] * 2
    assert {(event["action_taken"], event["contains_pii"]) for event in recorded_calls()} == {
        ("executed_observed", True)
    }


@pytest.mark.parametrize("policy", ["encrypt", "mask", "reject", "observe"])
def test_data_without_personal_data_is_not_changed(policy: str, recorded_calls: RecordedCalls) -> None:
    value = {"memo": "nothing here", "n": [1, 2.5, None, True], "t": (b"bytes", {"s"})}
    received, results = run(policy, value)
    assert all(each == value for each in received + results)
    assert not any(each is value for each in received + results)
    assert {(event["action_taken"], event["contains_pii"]) for event in recorded_calls()} == {("executed", False)}


def test_the_result_policy_may_differ(encryption: EncryptionService, journal: Journal) -> None:
    @secure_tool(result_policy="mask")
    def show(text: str, user_id: str) -> list[str]:
        return [text, CLEAR]

    stored, shown = show(CLEAR, user_id="u")
    assert encryption.recognizes(stored)
    assert shown == MASKED


@pytest.mark.parametrize("policy", ["encrypt", "mask", "observe"])
@pytest.mark.parametrize("argument", ["client_id", "user_id", "record_id"])
def test_personal_data_in_an_identifier_refuses_the_call(
    policy: Any, argument: str, recorded_calls: RecordedCalls
) -> None:
    @secure_tool(pii_policy=policy)
    def look_up(record_id: Annotated[str | None, Identifier], client_id: str, user_id: str) -> str:
        raise AssertionError

    ids = {"record_id": "r", "client_id": "c", "user_id": "u"} | {argument: "hong@example.com"}
    with pytest.raises(PersonalDataRefused) as caught:
        look_up(**ids)
    assert list(caught.value.kinds) == [argument]
    assert "hong" not in str(recorded_calls())


def test_the_verified_token_identifies_the_caller_and_arguments_do_not(
    recorded_calls: RecordedCalls, encryption: EncryptionService
) -> None:
    token = AccessToken(
        issuer="http://localhost:8081",
        subject="u_real",
        client_id="agent",
        audience=("x",),
        scopes=frozenset({"mcp.access"}),
        expires_at_seconds=0,
        issued_at_seconds=0,
        token_id="j",
        key_id="k",
    )

    @secure_tool()
    def keep(text: str, user_id: str) -> str:
        return text

    @secure_tool(scopes=["mcp.decrypt"])
    def read() -> str:
        raise AssertionError

    reset = current_caller.set(Caller(token=token, source_address="192.0.2.7", trace_id="0" * 32))
    try:
        kept = keep(CLEAR, user_id="u_other")
        with pytest.raises(ScopesMissing, match=r"mcp\.decrypt"):
            read()
    finally:
        current_caller.reset(reset)
    owner = owner_of("http://localhost:8081", "u_real")
    assert encryption.decrypt(kept, context=bind_field(owner=owner, tool="keep", name="text")) == CLEAR
    assert [(event["user_id"], event["client_id"]) for event in recorded_calls()] == [("u_real", "agent")] * 2
    assert recorded_calls()[0]["source_address"] == "192.0.2.7"
    assert recorded_calls()[1]["reason"] == "insufficient_scope"


def test_errors_keep_their_type_and_their_personal_data_is_masked(recorded_calls: RecordedCalls) -> None:
    class OwnError(ValueError):
        def __init__(self, text: str, code: int) -> None:
            super().__init__(text, code)
            self.detail = {"phone": "010-1234-5678"}

    @secure_tool(pii_policy="mask")
    def fail() -> None:
        phone = "010-1234-5678"
        raise OwnError(f"no such number {phone}", 7) from KeyError(phone)

    with pytest.raises(OwnError) as caught:
        fail()
    printed = "".join(traceback.format_exception(caught.value))
    assert "1234" not in printed + repr(vars(caught.value))
    assert caught.value.args == ("no such number 010-****-5678", 7)
    assert (recorded_calls()[0]["outcome"], recorded_calls()[0]["reason"]) == ("failure", "OwnError")


def test_an_error_that_cannot_be_copied_becomes_tool_failed(journal: Journal) -> None:
    @secure_tool(pii_policy="mask")
    def fail() -> None:
        "홍길동 hong@example.com".encode("ascii")

    with pytest.raises(ToolFailed) as caught:
        fail()
    assert "hong@example.com" not in "".join(traceback.format_exception(caught.value))


class WithoutText(Exception):
    def __str__(self) -> str:
        raise ValueError(CLEAR)

    __repr__ = __str__


@pytest.mark.parametrize("failure", [WithoutText(), ValueError(WithoutText())])
def test_an_error_whose_text_cannot_be_read_shows_its_type_only(
    failure: Exception, recorded_calls: RecordedCalls
) -> None:
    @secure_tool(pii_policy="mask")
    def fail() -> None:
        raise failure

    with pytest.raises(ToolFailed) as caught:
        fail()
    assert "1234" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.description == f"{type(failure).__name__}: its text cannot be read"
    assert recorded_calls()[0]["outcome"] == "failure"


def test_an_error_without_personal_data_is_not_changed(recorded_calls: RecordedCalls) -> None:
    broken = LookupError("nothing here")

    @secure_tool(pii_policy="mask")
    async def fail() -> None:
        raise broken

    with pytest.raises(LookupError) as caught:
        asyncio.run(fail())
    assert caught.value is broken
    assert recorded_calls()[0]["outcome"] == "failure"


@pytest.mark.parametrize("value", [object(), lambda: 1, open, asyncio, (each for each in "ab"), Exception("x")])
def test_unknown_objects_are_refused(value: Any, recorded_calls: RecordedCalls) -> None:
    with pytest.raises(UnsupportedValue):
        run("observe", value)
    with pytest.raises(UnsupportedValue):
        run("observe", [{"deep": value}])
    assert {event["action_taken"] for event in recorded_calls()} == {"rejected"}


def test_without_a_key_encryption_is_refused_before_the_tool_runs(
    journal: Journal, recorded_calls: RecordedCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECURITY_ENCRYPTION_KEY_FILE", raising=False)
    configure(journal=journal)
    for options in ({"requires_encryption": True}, {}):
        with pytest.raises(EncryptionKeyMissing):
            run("encrypt", CLEAR, **options)
    assert [event["reason"] for event in recorded_calls()] == ["encryption_key_missing"] * 2


def test_an_identifier_is_recognized_if_its_annotation_cannot_be_evaluated(journal: Journal) -> None:
    def look_up(record_id, memo):
        return [record_id, memo]

    look_up.__annotations__ = {"record_id": "Annotated[str, Identifier]", "memo": "NoSuchName"}
    tool = secure_tool(pii_policy="mask")(look_up)

    @secure_tool(pii_policy="mask")
    def choose(kind: Literal["Identifier"], memo: str) -> str:
        return memo

    assert choose("Identifier", CLEAR) == MASKED
    assert tool("r_1", CLEAR) == ["r_1", MASKED]
    with pytest.raises(PersonalDataRefused):
        tool("hong@example.com", "x")


def test_methods_and_variadic_arguments_are_protected(journal: Journal) -> None:
    class Desk:
        @secure_tool(pii_policy="mask")
        def take(self, first: str, *rest: str, **more: str) -> list[Any]:
            return [first, rest, more]

    assert Desk().take(CLEAR, CLEAR, memo=CLEAR) == [MASKED, (MASKED,), {"memo": MASKED}]


def test_generators_are_refused_when_decorated() -> None:
    with pytest.raises(TypeError, match="return a list"):

        @secure_tool()
        def parts() -> Any:
            yield 1


def test_no_personal_data_is_logged(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        run("mask", CLEAR)
    assert "-1234-" not in caplog.text
