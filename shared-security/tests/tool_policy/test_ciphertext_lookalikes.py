"""Text counts as ciphertext only if one of our keys made it. Text of the same shape is searched."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from security_common.audit import Journal
from security_common.encryption import EncryptionService
from security_common.tool_policy import PersonalDataRefused, bind_field, configure, secure_tool

CLEAR = "연락처 010-1234-5678 hong@example.com"


def echo(policy: Any, **options: Any) -> Callable[[str], str]:
    return secure_tool(pii_policy=policy, **options)(lambda text: text)


def lookalikes(encryption: EncryptionService) -> list[str]:
    """Plaintext that has the shape of ciphertext."""
    clear = "gAAAAA" + base64.urlsafe_b64encode(f"{CLEAR} {CLEAR} {CLEAR}".encode()).decode().rstrip("=")
    ours = encryption.encrypt("x", context={"owner": "u"})
    head, _, proof = ours.partition(".")
    return [clear, f"{head.rpartition(':')[0]}:{clear}.{proof}", f"enc:v1:fernet:00000000:{clear}"]


def test_plaintext_with_the_shape_of_ciphertext_is_protected(encryption: EncryptionService, journal: Journal) -> None:
    @secure_tool(requires_encryption=True)
    def keep(text: str) -> str:
        return text

    context = bind_field(owner="", tool="keep", name="text")
    for lookalike in lookalikes(encryption):
        sealed = keep(lookalike)
        assert encryption.decrypt(sealed, context=context) == lookalike
        assert keep(sealed) == sealed
        assert lookalike[-40:] not in echo("mask")(f"see {lookalike}")
        with pytest.raises(PersonalDataRefused):
            echo("reject")(lookalike)


def test_own_ciphertext_is_not_changed(encryption: EncryptionService, journal: Journal) -> None:
    for ours in (encryption.encrypt(CLEAR, context={"owner": "else"}), encryption.encrypt(CLEAR)):
        for policy in ("encrypt", "mask", "reject", "observe"):
            assert echo(policy)(f"see {ours}") == f"see {ours}"
        assert echo("encrypt", requires_encryption=True)(ours) == ours


def test_without_a_key_no_text_counts_as_ciphertext(
    journal: Journal, encryption: EncryptionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECURITY_ENCRYPTION_KEY_FILE", raising=False)
    configure(journal=journal)
    assert "gAAAAA" not in echo("mask")(encryption.encrypt("x"))
