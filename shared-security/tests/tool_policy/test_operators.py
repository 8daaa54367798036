"""What a team's configuration does in a tool that masks: each operator, by kind and by tool."""

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
Trail = Callable[[], list[dict[str, Any]]]
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


def test_each_kind_has_its_operator_and_a_tool_the_last_word(protect: Protect, trail: Trail) -> None:
    protect(kinds={"PERSON": "redact", "PHONE": "keep"})
    assert show(TEXT) == "[PERSON]님 h***@example.com, 010-1234-5678"
    protect(kinds={"PERSON": "redact"}, tools={"show": {"default": "keep"}})
    assert show(TEXT) == TEXT.replace("홍길동", "[PERSON]")
    assert show("010-1234-5678") == "010-1234-5678"
    assert [event["action_taken"] for event in trail()] == [*["executed_with_masking"] * 2, "executed_observed"]


def test_a_pseudonym_is_stable_whatever_the_spelling_and_is_not_replaced_again(protect: Protect) -> None:
    protect(default="pseudonym")
    dashed = show({"phone": "010-1234-5678"})["phone"]
    assert dashed.startswith("PHONE_")
    assert show({"phone": "01012345678"})["phone"] == show({"phone": dashed})["phone"] == dashed


def test_only_the_value_is_encrypted_and_the_owner_can_read_it(protect: Protect, encryption: EncryptionService) -> None:
    protect(kinds={"EMAIL": "encrypt"})
    before, sealed = show("to: hong@example.com").split(" ")
    assert before == "to:"
    assert encryption.recognizes(sealed)
    assert encryption.decrypt(sealed, context=bind_field(owner="", tool="show", name="text")) == "hong@example.com"


def test_a_rejected_kind_is_named_and_its_value_is_not(protect: Protect, trail: Trail) -> None:
    protect(kinds={"EMAIL": "reject"})
    with pytest.raises(PersonalDataRefused) as refused:
        show(TEXT)
    assert refused.value.kinds == {"text": {"EMAIL": 1}}
    with pytest.raises(ResultWithheld):
        secure_tool(pii_policy="observe", result_policy="mask")(lambda: TEXT)()
    with pytest.raises(ValueError, match=r"h\*\*\*@example\.com"):
        fail()
    assert [event["action_taken"] for event in trail()] == [*["rejected"] * 2, "executed_with_masking"]
    assert "hong@" not in str(trail())


def test_own_patterns_and_allowed_values_hold_in_tools(protect: Protect) -> None:
    protect(allow={"values": ["hong@example.com"]}, patterns={"EMPLOYEE": {"expression": "EMP-[0-9]{6}"}})
    assert show(["hong@example.com", "EMP-123456"]) == ["hong@example.com", "***"]


def test_pseudonyms_without_a_key_refuse_the_start(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECURITY_PSEUDONYM_KEY_FILE", raising=False)
    with pytest.raises(PIIConfigurationError):
        configure(journal=journal, detector=PIIDetector(parse_configuration({"default": "pseudonym"})))


FILE = {
    "kinds": {"EMAIL": "keep", "US_SSN": "reject", "PERSON": "redact"},
    "tools": {"own": {"kinds": {"PHONE": "mask"}}},
}
EMAIL, PHONE, PERSON, SSN = "hong@example.com", "010-1234-5678", "홍길동님", "SSN 536-90-4399"


@pytest.mark.parametrize("policy", ["encrypt", "mask", "reject", "observe"])
def test_keep_and_reject_hold_in_every_policy(policy: Any, protect: Protect) -> None:
    protect(**FILE)
    echo = secure_tool(pii_policy=policy)(lambda text: text)
    assert echo(EMAIL) == EMAIL
    with pytest.raises(PersonalDataRefused):
        echo(SSN)
    with pytest.raises(PersonalDataRefused):
        echo(f"{PHONE} {SSN}")


def test_how_a_value_is_written_is_for_tools_that_mask(protect: Protect, encryption: EncryptionService) -> None:
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
def test_the_word_on_one_tool_holds_whatever_its_policy(
    policy: Any, protect: Protect, encryption: EncryptionService
) -> None:
    protect(**FILE)

    @secure_tool(pii_policy=policy)
    def own(text: Any) -> Any:
        return text

    assert own([PHONE, EMAIL]) == ["010-****-5678", EMAIL]
    if policy == "encrypt":
        assert encryption.recognizes(own(f"{PHONE} {PERSON}")), "of two the stronger"


def test_an_address_may_be_an_identifier_where_addresses_are_kept(protect: Protect, trail: Trail) -> None:
    @secure_tool(pii_policy="mask")
    def view(user_id: str) -> None: ...

    for kept, refused in ((EMAIL, PHONE), (EMAIL, "880101-1234568")):
        protect(**FILE)
        view(user_id=kept)
        with pytest.raises(PersonalDataRefused):
            view(user_id=refused)
    assert trail()[0]["user_id"] == EMAIL


WORDS = st.sampled_from(list(Operator))
PLANTED = {PIIKind.EMAIL: EMAIL, PIIKind.PHONE: PHONE, PIIKind.CREDIT_CARD: "4111-1111-1111-1111"}
PER_KIND = st.dictionaries(st.sampled_from(list(PLANTED)), WORDS)


def word_on(kind: PIIKind, policy: str, file: dict[str, Any]) -> Operator | None:
    """What docs/pii.md says, written apart from the code under test; None is a text encrypted as a whole."""
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
def test_any_file_means_what_the_documentation_says(
    protect: Protect, encryption: EncryptionService, source: st.DataObject
) -> None:
    tool = {"kinds": source.draw(PER_KIND), **source.draw(st.fixed_dictionaries({}, optional={"default": WORDS}))}
    file = {"default": source.draw(WORDS), "kinds": source.draw(PER_KIND), "tools": {"echo": tool}}
    policy: Any = source.draw(st.sampled_from(["encrypt", "mask", "reject", "observe"]))
    there = source.draw(st.lists(st.sampled_from(list(PLANTED)), min_size=1, unique=True))
    protect(**file)

    @secure_tool(pii_policy=policy)
    def echo(text: str) -> str:
        return text

    words = {kind: word_on(kind, policy, file) for kind in there}
    text = " and ".join(PLANTED[kind] for kind in there)
    if Operator.REJECT in words.values():
        with pytest.raises(PersonalDataRefused):
            echo(text)
        return
    seen = echo(text)
    if None in words.values():
        assert encryption.decrypt(seen, context=bind_field(owner="", tool="echo", name="text")) == text
        return
    for kind, word in words.items():
        assert (PLANTED[kind] in seen) == (word is Operator.KEEP)
        assert (f"[{kind}]" in seen) == (word is Operator.REDACT)
        assert (f"{kind}_" in seen) == (word is Operator.PSEUDONYM)
    assert seen.count("enc:v1:") == list(words.values()).count(Operator.ENCRYPT)
    assert echo(seen) == seen
