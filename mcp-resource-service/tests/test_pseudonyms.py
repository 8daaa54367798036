"""References are the same for the same person and key, differ by purpose, and never look like a number."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from security_common.tool_policy.pseudonyms import KeyedPseudonyms


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "pseudonym_key"
    path.write_text("k" * 30 + "0123456789abc")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_a_reference_is_stable_letters(key_file, value):
    reference = KeyedPseudonyms(key_file).reference(value)
    assert reference == KeyedPseudonyms(key_file).reference(value)
    assert reference.isalpha()


def test_another_key_or_purpose_gives_another_reference(key_file, tmp_path):
    other = tmp_path / "other_key"
    other.write_text("l" * 30 + "0123456789abc")
    ours = KeyedPseudonyms(key_file)
    assert ours.reference("p_hong") != KeyedPseudonyms(other).reference("p_hong")
    assert ours.digest("subject", "p_hong") != ours.digest("directory", "p_hong")
