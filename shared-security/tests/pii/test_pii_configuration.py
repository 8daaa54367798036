"""The configuration file: valid and invalid entries, allowed values, custom patterns."""

import re
from pathlib import Path

import pytest

from security_common.pii import Operator, PIIConfigurationError, PIIDetector, PIIKind, open_pii_detector
from security_common.pii.configuration_file import load_configuration, parse_configuration
from security_common.settings import SecuritySettings

DOCS = Path(__file__).parents[3] / "docs" / "pii.md"


def detector(**entries: object) -> PIIDetector:
    return PIIDetector(parse_configuration(entries))


def test_allowed_values_are_no_findings_and_custom_patterns_are() -> None:
    with_entries = detector(
        allow={"values": ["Support@example.com"]}, patterns={"EMPLOYEE": {"expression": "EMP-[0-9]{6}"}}
    )

    assert with_entries.mask_text("support@example.com EMP-123456") == "support@example.com ***"
    [finding] = with_entries.scan_text("EMP-123456", field_name="직원")
    assert (finding.kind, finding.why, finding.start, finding.end) == (PIIKind.CUSTOM, "pattern-EMPLOYEE", 0, 10)


def test_custom_patterns_that_overlap_are_found_once() -> None:
    patterns = {"ONE": {"expression": "AB[0-9]{3}"}, "TWO": {"expression": "B[0-9]{3}-X"}}
    assert detector(patterns=patterns).mask_text("see AB123-X.") == "see A***."


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ({"defualt": "mask"}, "defualt"),
        ({"default": "shred"}, "default"),
        ({"kinds": {"EMIAL": "mask"}}, "kinds.EMIAL"),
        ({"kinds": "mask"}, "kinds"),
        ({"tools": {"send": {"defualt": "keep"}}}, "tools.send.defualt"),
        ({"tools": {"send": "keep"}}, "tools.send"),
        ({"tools": {"send": {"kinds": {"EMAIL": "show"}}}}, "tools.send.kinds.EMAIL"),
        ({"allow": {"values": "support@example.com"}}, "allow.values"),
        ({"patterns": {"A": "EMP"}}, "patterns.A"),
        ({"patterns": {"A": {"expression": ""}}}, "patterns.A.expression"),
        ({"patterns": {"A": {"expression": "(?=a)"}}}, "patterns.A"),
        ({"patterns": {"A": {"expression": "a*"}}}, "patterns.A"),
        ({"patterns": {"A": {"expression": "a" * 501}}}, "patterns.A.expression"),
        ({"patterns": {"A": {"expression": "((a{100}){100}){100}"}}}, "patterns.A"),
        ({"patterns": {str(number): {"expression": "a"} for number in range(21)}}, "patterns"),
    ],
)
def test_an_invalid_entry_is_refused_and_named(entries: dict[str, object], place: str) -> None:
    with pytest.raises(PIIConfigurationError) as caught:
        parse_configuration(entries)
    assert caught.value.description.split(":")[0].split(" ")[0] == place
    assert "support@" not in f"{caught.value} {caught.value.__cause__}"


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pii.toml").write_text("default: mask")
    with pytest.raises(PIIConfigurationError):
        open_pii_detector(SecuritySettings(pii_config_file=tmp_path / "pii.toml"))


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "pii.toml").write_text(example, encoding="utf-8")

    configuration = load_configuration(tmp_path / "pii.toml")

    assert configuration.operator(PIIKind.PHONE) is Operator.MASK
    assert configuration.operator(PIIKind.US_SSN) is Operator.REJECT
    assert configuration.operator(PIIKind.EMAIL) is Operator.PSEUDONYM
    assert configuration.operator(PIIKind.EMAIL, "send_mail") is Operator.KEEP
    assert configuration.operator(PIIKind.US_SSN, "send_mail") is Operator.REJECT
    assert configuration.operator(PIIKind.PHONE, "send_mail", masks=False) is None
    assert PIIDetector(configuration).mask_text("support@example.com, EMP-123456") == "support@example.com, ***"
