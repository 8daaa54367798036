"""Keyed pseudonyms: stable values, one per issuer and kind, which the detector does not report."""

from pathlib import Path

import pytest

from security_common.pii import PIIDetector, PIIKind
from security_common.tool_policy.pseudonyms import KeyedPseudonyms, PseudonymKeyInvalid

REFERENCE = "lrrbgdmrsbbbclsqhhqksqcf"
DIRECTORY_DIGEST = "5e6f9ace579db44e75e3da78"


@pytest.fixture
def pseudonyms(tmp_path: Path) -> KeyedPseudonyms:
    (tmp_path / "key").write_text("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\n")
    return KeyedPseudonyms(tmp_path / "key")


def test_references_and_directory_ids_of_earlier_releases_are_unchanged(pseudonyms: KeyedPseudonyms) -> None:
    assert pseudonyms.reference("p_hong") == REFERENCE
    assert pseudonyms.digest("directory", "hong@example.com").hex() == DIRECTORY_DIGEST


def test_a_pseudonym_differs_between_issuers_and_kinds(pseudonyms: KeyedPseudonyms) -> None:
    created = {pseudonyms.pseudonym(kind, "1", issuer=issuer) for kind in ("PHONE", "EMAIL") for issuer in ("a", "b")}
    assert len(created) == 4
    assert all(f"_{pseudonyms.key_id}_" in each for each in created)


@pytest.mark.parametrize("name", [*map(str, PIIKind), "email", "전화번호", "이름", "name", "password", "여권번호", ""])
def test_a_pseudonym_is_not_a_finding_under_any_field_name(pseudonyms: KeyedPseudonyms, name: str) -> None:
    for kind in PIIKind:
        for value in map(str, range(20)):
            assert PIIDetector().scan_text(pseudonyms.pseudonym(kind, value), field_name=name) == []


def test_a_weak_pseudonym_key_is_refused(tmp_path: Path) -> None:
    for content in ("short", "k" * 43):
        (tmp_path / "weak").write_text(content)
        with pytest.raises(PseudonymKeyInvalid):
            KeyedPseudonyms(tmp_path / "weak")
