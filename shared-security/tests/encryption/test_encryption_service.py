"""Ciphertext: round trips, the binding to a context, what is refused, and what errors must not contain."""

import base64
import json
import os
import traceback
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from security_common.encryption import (
    CiphertextExpired,
    CiphertextMalformed,
    DecryptionFailed,
    EncryptionService,
    KeyRetired,
    Keyring,
    KeyringFile,
    UnknownKey,
    ciphertext_spans,
)

CONTEXT = {"owner": "u_1", "tool": "store_sensitive_data", "field": "data"}
NOW = 1_800_000_000.0
KEYRING = Keyring.generate()
CIPHERTEXT = EncryptionService(lambda: KEYRING).encrypt("secret", context=CONTEXT)


def service(keyring: Keyring = KEYRING, *, now: float = NOW) -> EncryptionService:
    return EncryptionService(lambda: keyring, clock=lambda: now)


@given(st.text(), st.none() | st.dictionaries(st.text(), st.text(), min_size=1))
def test_decryption_returns_the_encrypted_text(text: str, context: dict[str, str] | None) -> None:
    token = service().encrypt(text, context=context)
    assert service().recognizes(token)
    assert service().decrypt(token, context=context) == text


def test_without_context_any_fernet_library_reads_the_token() -> None:
    key = Fernet.generate_key()
    with_key = service(Keyring.parse(key.decode()))
    token = with_key.encrypt("고객 이메일: customer@company.com").rpartition(":")[2]
    assert Fernet(key).decrypt(token).decode() == "고객 이메일: customer@company.com"
    assert with_key.decrypt(Fernet(key).encrypt(b"bare").decode()) == "bare"


@pytest.mark.parametrize(
    "other_context",
    [
        None,
        CONTEXT | {"owner": "u_2"},
        CONTEXT | {"tool": "other"},
        CONTEXT | {"field": "memo"},
        CONTEXT | {"more": ""},
        {"owner": "u_1", "tool": "store_sensitive_data"},
        {"owner": 'u_1","tool":"store_sensitive_data', "field": "data"},
    ],
)
def test_a_ciphertext_cannot_be_decrypted_in_another_context(other_context: dict[str, str] | None) -> None:
    token = service().encrypt("secret", context=CONTEXT)
    assert service().decrypt(token, context=dict(reversed(CONTEXT.items()))) == "secret"
    with pytest.raises(DecryptionFailed):
        service().decrypt(token, context=other_context)


def test_an_unbound_ciphertext_is_not_accepted_as_a_bound_one() -> None:
    unbound = service().encrypt("secret")
    for token in (unbound, unbound.rpartition(":")[2], unbound.replace(":fernet:", ":fernet-hkdf:")):
        with pytest.raises(DecryptionFailed):
            service().decrypt(token, context=CONTEXT)


def test_an_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="empty context"):
        service().encrypt("text", context={})


@given(st.data())
def test_a_change_of_any_character_is_detected(data: st.DataObject) -> None:
    token = CIPHERTEXT
    place = data.draw(st.integers(0, len(token.rstrip("=")) - 2))
    other = data.draw(st.sampled_from("abcABC019-_:").filter(lambda char: char != token[place]))
    with pytest.raises(DecryptionFailed):
        service().decrypt(token[:place] + other + token[place + 1 :], context=CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "enc:",
        "enc:v1:fernet:00000000:",
        "enc:v2:fernet:00000000:gAAAAA",
        "plain 010-1234-5678",
        "gAAAAA",
        "a" * 200,
    ],
)
def test_text_that_is_not_ciphertext_has_its_own_error(text: str) -> None:
    assert not service().recognizes(text)
    with pytest.raises(CiphertextMalformed):
        service().decrypt(text)


def test_plaintext_after_a_ciphertext_is_not_a_part_of_it() -> None:
    token = service().encrypt("x")
    assert not service().recognizes(f"{token} 010-1234-5678")
    assert list(ciphertext_spans(f"a {token} 010-1234-5678")) == [(2, 2 + len(token))]


def test_ciphertext_is_recognized_without_its_context_and_lookalikes_are_not() -> None:
    key = KEYRING.primary.key_id
    lookalike = "gAAAAA" + base64.urlsafe_b64encode(b"010-1234-5678 hong@example.com " * 4).decode()
    bound, unbound = service().encrypt("x", context=CONTEXT), service().encrypt("x")
    head, _, proof = bound.partition(".")
    for ciphertext in (bound, unbound, unbound.rpartition(":")[2]):
        assert service().recognizes(ciphertext)
        assert not service(Keyring.generate()).recognizes(ciphertext)
    for text in (
        lookalike,
        f"enc:v1:fernet:{key}:{lookalike}",
        f"enc:v1:fernet-hkdf:{key}:{lookalike}.{proof}",
        head,
        f"{head}.{proof[::-1]}",
        bound.replace(key, "00000000"),
        f"{unbound}.{proof}",
        bound + "x",
        Fernet(Fernet.generate_key()).encrypt(b"x").decode(),
    ):
        assert not service().recognizes(text), text
    later = KEYRING.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).recognizes(bound)
    for destroy in (False, True):
        assert not service(later.retire(key, destroy=destroy)).recognizes(bound)


def test_unknown_and_retired_keys_have_their_own_errors() -> None:
    token = service().encrypt("x")
    with pytest.raises(UnknownKey):
        service(Keyring.generate()).decrypt(token)
    later = KEYRING.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).decrypt(token) == "x"
    with pytest.raises(KeyRetired):
        service(later.retire(KEYRING.primary.key_id)).decrypt(token)


def test_a_bare_token_is_decrypted_with_any_key_that_is_not_retired() -> None:
    key = Fernet.generate_key()
    bare = Fernet(key).encrypt(b"x").decode()
    keyring = Keyring.parse(key.decode())
    later = keyring.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).decrypt(bare) == "x"
    with pytest.raises(DecryptionFailed):
        service(later.retire(keyring.primary.key_id)).decrypt(bare)


def test_reencryption_keeps_text_context_and_age() -> None:
    token = service().encrypt("x", context=CONTEXT)
    assert not service().needs_reencryption(token)
    later = KEYRING.add()
    later = later.promote(later.keys[-1].key_id)
    new = service(later, now=NOW + 500)
    assert new.needs_reencryption(token)
    moved = new.reencrypt(token, context=CONTEXT)
    assert not new.needs_reencryption(moved)
    assert new.reencrypt(moved, context=CONTEXT) == moved
    assert new.decrypt(moved, context=CONTEXT, max_age_seconds=500) == "x"
    with pytest.raises(CiphertextExpired):
        new.decrypt(moved, context=CONTEXT, max_age_seconds=499)


def test_errors_contain_no_key_plaintext_or_context() -> None:
    keyring = Keyring.generate()
    token = service(keyring).encrypt("홍길동 010-1234-5678", context=CONTEXT)
    secrets = [*json.loads(keyring.dump())["keys"][0].values(), "홍길동", "1234", "u_1", token]
    secrets.remove("primary")
    for wrong in (token[:-4] + "AAA=", token.replace("enc:v1", "enc:v9"), "홍길동 010-1234-5678"):
        with pytest.raises(DecryptionFailed) as caught:
            service(keyring).decrypt(wrong, context=CONTEXT)
        message = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value) + caught.value.hint
        assert not [secret for secret in secrets if secret in message]
    assert json.loads(keyring.dump())["keys"][0]["key"] not in repr(keyring)
    assert repr(keyring.primary.material) not in repr(keyring)


def test_a_changed_keyring_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(KEYRING.dump())
    with_file = EncryptionService(KeyringFile(path))
    token = with_file.encrypt("x")
    changed = KEYRING.add()
    changed = changed.promote(changed.keys[-1].key_id)
    new_file = tmp_path / "new"
    new_file.write_text(changed.dump())
    new_file.replace(path)
    assert with_file.needs_reencryption(token)
    assert with_file.decrypt(token) == "x"
    path.write_text("{ half a file")
    assert with_file.decrypt(with_file.encrypt("y")) == "y"
    path.unlink()
    assert with_file.decrypt(token) == "x"
    own_records = [each for each in caplog.records if each.name.startswith("security_common.encryption")]
    assert [record.levelname for record in own_records] == ["ERROR", "ERROR"]
    key = json.loads(KEYRING.dump())["keys"][0]["key"]
    assert key not in caplog.text


def test_a_replaced_file_with_the_same_mtime_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(KEYRING.dump())
    with_file = EncryptionService(KeyringFile(path))
    other = Keyring.generate()
    new_file = tmp_path / "new"
    new_file.write_text(other.dump())
    os.utime(new_file, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new_file.replace(path)
    assert service(other).decrypt(with_file.encrypt("x")) == "x"
