"""The resource service accepts the examples in docs/trusted-issuers.md."""

import re
from pathlib import Path

import pytest

from mcp_resource_service.settings import ResourceSettings
from security_common.service.trusted_issuer_settings import read_trusted_issuers
from security_common.tokens.vendor_presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs/trusted-issuers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(json|yaml) entry\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LANGUAGES = re.findall(r"^```(\w+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("language", "example"), EXAMPLES)
def test_an_example_is_a_valid_declaration(language: str, example: str, tmp_path: Path) -> None:
    if language == "json":
        assert ResourceSettings(trusted_issuers=example).trusted_issuers
    path = tmp_path / f"issuers.{language}"
    path.write_text(example, encoding="utf-8")
    assert ResourceSettings(trusted_issuers=str(path)).trusted_issuers


def test_every_fence_is_tested_and_every_preset_has_an_example() -> None:
    assert len(LANGUAGES) == len(EXAMPLES)
    for preset in PRESETS:
        assert f'"preset": "{preset}"' in PAGE


def test_every_member_is_described() -> None:
    members = _members()
    described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|([^|]*)\|", PAGE, re.MULTILINE))))
    assert members <= described


def _members() -> set[str]:
    """The members of an entry, as listed in the hint for an unknown member."""
    with pytest.raises(ValueError, match="not a member") as failure:
        read_trusted_issuers([{"issuer": "https://login.example", "audience": "x", "?": 1}], setting="")
    hint: str = failure.value.hint  # pyright: ignore[reportAttributeAccessIssue] - a SettingProblem
    return set(hint.partition("the members are ")[2].split(", "))
