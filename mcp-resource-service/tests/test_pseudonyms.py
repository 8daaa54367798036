"""References to data subjects: equal for the same person and key, different by purpose, and without digits."""

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
def test_a_reference_is_stable_and_consists_of_letters(key_file, value):
    reference = KeyedPseudonyms(key_file).reference(value)
    assert reference == KeyedPseudonyms(key_file).reference(value)
    assert reference.isalpha()


def test_another_key_or_purpose_results_in_another_reference(key_file, tmp_path):
    other = tmp_path / "other_key"
    other.write_text("l" * 30 + "0123456789abc")
    pseudonyms = KeyedPseudonyms(key_file)
    assert pseudonyms.reference("p_hong") != KeyedPseudonyms(other).reference("p_hong")
    assert pseudonyms.digest("subject", "p_hong") != pseudonyms.digest("directory", "p_hong")
