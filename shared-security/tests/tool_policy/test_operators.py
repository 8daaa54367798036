"""The operators of the configuration file in tools: by kind, by tool, and together with each policy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.audit import Journal
from security_common.encryption import EncryptionService
from security_common.pii import Operator, PIIConfigurationError, PIIDetector, PIIKind
from security_common.pii.configuration_file import parse_configuration
from security_common.tool_policy import PersonalDataRefused, ResultWithheld, bind_field, configure, secure_tool
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

TEXT = "홍길동님 hong@example.com, 010-1234-5678"
RecordedCalls = Callable[[], list[dict[str, Any]]]
Protect = Callable[..., None]


@pytest.fixture
def protect(journal: Journal, encryption: EncryptionService, tmp_path: Path) -> Protect:
    (tmp_path / "key").write_text("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")

    def use(**entries: object) -> None:
        detector = PIIDetector(parse_configuration(entries))
        configure(
            journal=journal, detector=detector, encryption=encryption, pseudonyms=KeyedPseudonyms(tmp_path / "key")
        )

    return use


@secure_tool(pii_policy="mask")
def show(text: Any) -> Any:
    return text


@secure_tool(pii_policy="observe", result_policy="mask")
def fail() -> str:
    raise ValueError(TEXT)


def test_operators_apply_by_kind_and_a_tool_may_override_them(protect: Protect, recorded_calls: RecordedCalls) -> None:
    protect(kinds={"PERSON": "redact", "PHONE": "keep"})
    assert show(TEXT) == "[PERSON]님 h***@example.com, 010-1234-5678"
    protect(kinds={"PERSON": "redact"}, tools={"show": {"default": "keep"}})
    assert show(TEXT) == TEXT.replace("홍길동", "[PERSON]")
    assert show("010-1234-5678") == "010-1234-5678"
    assert [event["action_taken"] for event in recorded_calls()] == [
        *["executed_with_masking"] * 2,
        "executed_observed",
    ]


def test_a_pseudonym_is_equal_for_every_spelling_and_is_not_replaced_again(protect: Protect) -> None:
    protect(default="pseudonym")
    dashed = show({"phone": "010-1234-5678"})["phone"]
    assert dashed.startswith("PHONE_")
    assert show({"phone": "01012345678"})["phone"] == show({"phone": dashed})["phone"] == dashed


def test_encrypt_replaces_only_the_value_and_binds_it_to_the_owner(
    protect: Protect, encryption: EncryptionService
) -> None:
    protect(kinds={"EMAIL": "encrypt"})
    before, sealed = show("to: hong@example.com").split(" ")
    assert before == "to:"
    assert encryption.recognizes(sealed)
    assert encryption.decrypt(sealed, context=bind_field(owner="", tool="show", name="text")) == "hong@example.com"


def test_a_refusal_names_the_kind_and_not_the_value(protect: Protect, recorded_calls: RecordedCalls) -> None:
    protect(kinds={"EMAIL": "reject"})
    with pytest.raises(PersonalDataRefused) as refused:
        show(TEXT)
    assert refused.value.kinds == {"text": {"EMAIL": 1}}
    with pytest.raises(ResultWithheld):
        secure_tool(pii_policy="observe", result_policy="mask")(lambda: TEXT)()
    with pytest.raises(ValueError, match=r"h\*\*\*@example\.com"):
        fail()
    assert [event["action_taken"] for event in recorded_calls()] == [*["rejected"] * 2, "executed_with_masking"]
    assert "hong@" not in str(recorded_calls())


def test_custom_patterns_and_allowed_values_apply_in_tools(protect: Protect) -> None:
    protect(allow={"values": ["hong@example.com"]}, patterns={"EMPLOYEE": {"expression": "EMP-[0-9]{6}"}})
    assert show(["hong@example.com", "EMP-123456"]) == ["hong@example.com", "***"]


def test_the_operator_pseudonym_without_a_key_stops_the_start(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECURITY_PSEUDONYM_KEY_FILE", raising=False)
    with pytest.raises(PIIConfigurationError):
        configure(journal=journal, detector=PIIDetector(parse_configuration({"default": "pseudonym"})))


FILE = {
    "kinds": {"EMAIL": "keep", "US_SSN": "reject", "PERSON": "redact"},
    "tools": {"own": {"kinds": {"PHONE": "mask"}}},
}
EMAIL, PHONE, PERSON, SSN = "hong@example.com", "010-1234-5678", "홍길동님", "SSN 536-90-4399"


@pytest.mark.parametrize("policy", ["encrypt", "mask", "reject", "observe"])
def test_keep_and_reject_apply_under_every_policy(policy: Any, protect: Protect) -> None:
    protect(**FILE)

    @secure_tool(pii_policy=policy)
    def echo(text: str) -> str:
        return text

    assert echo(EMAIL) == EMAIL
    with pytest.raises(PersonalDataRefused):
        echo(SSN)
    with pytest.raises(PersonalDataRefused):
        echo(f"{PHONE} {SSN}")


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ({"default": "tokenize"}, "default"),
        ({"kinds": {"EMAIL": "tokenize"}}, "kinds.EMAIL"),
        ({"tools": {"send": {"kinds": {"EMAIL": "tokenize"}}}}, "tools.send.kinds.EMAIL"),
    ],
)
def test_the_configuration_file_cannot_name_the_operator_tokenize(entries: dict[str, Any], place: str) -> None:
    with pytest.raises(PIIConfigurationError) as refused:
        parse_configuration(entries)
    assert refused.value.description.startswith(f"{place}: ")
    assert "tokenize is a policy of a tool" in refused.value.description


def test_redact_applies_only_to_tools_that_mask(protect: Protect, encryption: EncryptionService) -> None:
    protect(**FILE)

    def echo(text: str) -> str:
        return text

    assert secure_tool(pii_policy="mask")(echo)(PERSON) == "[PERSON]님"
    assert secure_tool(pii_policy="observe")(echo)(PERSON) == PERSON
    sealed = secure_tool(pii_policy="encrypt")(echo)(PERSON)
    assert encryption.decrypt(sealed, context=bind_field(owner="", tool="echo", name="text")) == PERSON
    with pytest.raises(PersonalDataRefused):
        secure_tool(pii_policy="reject")(echo)(PERSON)


@pytest.mark.parametrize("policy", ["encrypt", "mask", "reject", "observe"])
def test_an_operator_of_one_tool_applies_under_every_policy(
    policy: Any, protect: Protect, encryption: EncryptionService
) -> None:
    protect(**FILE)

    @secure_tool(pii_policy=policy)
    def own(text: Any) -> Any:
        return text

    assert own([PHONE, EMAIL]) == ["010-****-5678", EMAIL]
    if policy == "encrypt":
        assert encryption.recognizes(own(f"{PHONE} {PERSON}")), "the stronger treatment decides for the whole text"


def test_an_identifier_may_be_an_email_address_if_addresses_are_kept(
    protect: Protect, recorded_calls: RecordedCalls
) -> None:
    @secure_tool(pii_policy="mask")
    def view(user_id: str) -> None: ...

    for kept, refused in ((EMAIL, PHONE), (EMAIL, "880101-1234568")):
        protect(**FILE)
        view(user_id=kept)
        with pytest.raises(PersonalDataRefused):
            view(user_id=refused)
    assert recorded_calls()[0]["user_id"] == EMAIL


OPERATORS = st.sampled_from([operator for operator in Operator if operator is not Operator.TOKENIZE])
PLANTED = {PIIKind.EMAIL: EMAIL, PIIKind.PHONE: PHONE, PIIKind.CREDIT_CARD: "4111-1111-1111-1111"}
OPERATORS_BY_KIND = st.dictionaries(st.sampled_from(list(PLANTED)), OPERATORS)


def expected_operator(kind: PIIKind, policy: str, file: dict[str, Any]) -> Operator | None:
    """The rule of docs/pii.md, independent of the code under test. None: the whole text is encrypted."""
    tool = file["tools"]["echo"]
    if kind in tool["kinds"]:
        return tool["kinds"][kind]
    shared = file["kinds"].get(kind)
    if shared is not None and (policy == "mask" or shared in {Operator.KEEP, Operator.REJECT}):
        return shared
    if "default" in tool:
        return tool["default"]
    return {"mask": file["default"], "reject": Operator.REJECT, "observe": Operator.KEEP, "encrypt": None}[policy]


@given(source=st.data())
def test_operators_of_any_file_follow_the_documentation(
    protect: Protect, encryption: EncryptionService, source: st.DataObject
) -> None:
    tool = {
        "kinds": source.draw(OPERATORS_BY_KIND),
        **source.draw(st.fixed_dictionaries({}, optional={"default": OPERATORS})),
    }
    file = {"default": source.draw(OPERATORS), "kinds": source.draw(OPERATORS_BY_KIND), "tools": {"echo": tool}}
    policy: Any = source.draw(st.sampled_from(["encrypt", "mask", "reject", "observe"]))
    planted = source.draw(st.lists(st.sampled_from(list(PLANTED)), min_size=1, unique=True))
    protect(**file)

    @secure_tool(pii_policy=policy)
    def echo(text: str) -> str:
        return text

    operators = {kind: expected_operator(kind, policy, file) for kind in planted}
    text = " and ".join(PLANTED[kind] for kind in planted)
    if Operator.REJECT in operators.values():
        with pytest.raises(PersonalDataRefused):
            echo(text)
        return
    protected = echo(text)
    if None in operators.values():
        assert encryption.decrypt(protected, context=bind_field(owner="", tool="echo", name="text")) == text
        return
    for kind, operator in operators.items():
        assert (PLANTED[kind] in protected) == (operator is Operator.KEEP)
        assert (f"[{kind}]" in protected) == (operator is Operator.REDACT)
        assert (f"{kind}_" in protected) == (operator is Operator.PSEUDONYM)
    assert protected.count("enc:v1:") == list(operators.values()).count(Operator.ENCRYPT)
    assert echo(protected) == protected
