"""Ciphertexts: round trips, the binding to a context, what is refused and what an error may say."""

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
RING = Keyring.generate()
SEALED = EncryptionService(lambda: RING).encrypt("secret", context=CONTEXT)


def service(keyring: Keyring = RING, *, now: float = NOW) -> EncryptionService:
    return EncryptionService(lambda: keyring, clock=lambda: now)


@given(st.text(), st.none() | st.dictionaries(st.text(), st.text(), min_size=1))
def test_what_was_encrypted_is_read_back(text: str, context: dict[str, str] | None) -> None:
    token = service().encrypt(text, context=context)
    assert service().recognizes(token)
    assert service().decrypt(token, context=context) == text


def test_without_context_any_fernet_library_reads_the_token() -> None:
    key = Fernet.generate_key()
    ours = service(Keyring.parse(key.decode()))
    token = ours.encrypt("고객 이메일: customer@company.com").rpartition(":")[2]
    assert Fernet(key).decrypt(token).decode() == "고객 이메일: customer@company.com"
    assert ours.decrypt(Fernet(key).encrypt(b"bare").decode()) == "bare"


@pytest.mark.parametrize(
    "elsewhere",
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
def test_a_ciphertext_moved_elsewhere_fails(elsewhere: dict[str, str] | None) -> None:
    token = service().encrypt("secret", context=CONTEXT)
    assert service().decrypt(token, context=dict(reversed(CONTEXT.items()))) == "secret"
    with pytest.raises(DecryptionFailed):
        service().decrypt(token, context=elsewhere)


def test_an_unbound_ciphertext_does_not_pass_for_a_bound_one() -> None:
    unbound = service().encrypt("secret")
    for token in (unbound, unbound.rpartition(":")[2], unbound.replace(":fernet:", ":fernet-hkdf:")):
        with pytest.raises(DecryptionFailed):
            service().decrypt(token, context=CONTEXT)


def test_an_empty_context_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="empty context"):
        service().encrypt("text", context={})


@given(st.data())
def test_no_changed_character_goes_unnoticed(data: st.DataObject) -> None:
    token = SEALED
    at = data.draw(st.integers(0, len(token.rstrip("=")) - 2))
    other = data.draw(st.sampled_from("abcABC019-_:").filter(lambda char: char != token[at]))
    with pytest.raises(DecryptionFailed):
        service().decrypt(token[:at] + other + token[at + 1 :], context=CONTEXT)


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
def test_what_is_no_ciphertext_is_told_apart(text: str) -> None:
    assert not service().recognizes(text)
    with pytest.raises(CiphertextMalformed):
        service().decrypt(text)


def test_a_clear_tail_does_not_hide_behind_a_ciphertext() -> None:
    token = service().encrypt("x")
    assert not service().recognizes(f"{token} 010-1234-5678")
    assert list(ciphertext_spans(f"a {token} 010-1234-5678")) == [(2, 2 + len(token))]


def test_ciphertext_is_recognized_whatever_its_context_and_what_looks_like_it_is_not() -> None:
    key = RING.primary.key_id
    clear = "gAAAAA" + base64.urlsafe_b64encode(b"010-1234-5678 hong@example.com " * 4).decode()
    bound, unbound = service().encrypt("x", context=CONTEXT), service().encrypt("x")
    head, _, proof = bound.partition(".")
    for ours in (bound, unbound, unbound.rpartition(":")[2]):
        assert service().recognizes(ours)
        assert not service(Keyring.generate()).recognizes(ours)
    for alike in (
        clear,
        f"enc:v1:fernet:{key}:{clear}",
        f"enc:v1:fernet-hkdf:{key}:{clear}.{proof}",
        head,
        f"{head}.{proof[::-1]}",
        bound.replace(key, "00000000"),
        f"{unbound}.{proof}",
        bound + "x",
        Fernet(Fernet.generate_key()).encrypt(b"x").decode(),
    ):
        assert not service().recognizes(alike), alike
    later = RING.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).recognizes(bound)
    for destroy in (False, True):
        assert not service(later.retire(key, destroy=destroy)).recognizes(bound)


def test_unknown_and_retired_keys_have_errors_of_their_own() -> None:
    token = service().encrypt("x")
    with pytest.raises(UnknownKey):
        service(Keyring.generate()).decrypt(token)
    later = RING.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).decrypt(token) == "x"
    with pytest.raises(KeyRetired):
        service(later.retire(RING.primary.key_id)).decrypt(token)


def test_a_bare_token_is_found_among_the_living_keys_only() -> None:
    key = Fernet.generate_key()
    bare = Fernet(key).encrypt(b"x").decode()
    ring = Keyring.parse(key.decode())
    later = ring.add()
    later = later.promote(later.keys[-1].key_id)
    assert service(later).decrypt(bare) == "x"
    with pytest.raises(DecryptionFailed):
        service(later.retire(ring.primary.key_id)).decrypt(bare)


def test_rotation_keeps_text_context_and_age() -> None:
    token = service().encrypt("x", context=CONTEXT)
    assert not service().needs_rotation(token)
    later = RING.add()
    later = later.promote(later.keys[-1].key_id)
    new = service(later, now=NOW + 500)
    assert new.needs_rotation(token)
    moved = new.reencrypt(token, context=CONTEXT)
    assert not new.needs_rotation(moved)
    assert new.reencrypt(moved, context=CONTEXT) == moved
    assert new.decrypt(moved, context=CONTEXT, max_age_seconds=500) == "x"
    with pytest.raises(CiphertextExpired):
        new.decrypt(moved, context=CONTEXT, max_age_seconds=499)


def test_no_error_names_key_plaintext_or_context() -> None:
    ring = Keyring.generate()
    token = service(ring).encrypt("홍길동 010-1234-5678", context=CONTEXT)
    secrets = [*json.loads(ring.dump())["keys"][0].values(), "홍길동", "1234", "u_1", token]
    secrets.remove("primary")
    for wrong in (token[:-4] + "AAA=", token.replace("enc:v1", "enc:v9"), "홍길동 010-1234-5678"):
        with pytest.raises(DecryptionFailed) as caught:
            service(ring).decrypt(wrong, context=CONTEXT)
        told = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value) + caught.value.hint
        assert not [secret for secret in secrets if secret in told]
    assert json.loads(ring.dump())["keys"][0]["key"] not in repr(ring)
    assert repr(ring.primary.material) not in repr(ring)


def test_a_service_follows_its_keyring_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(RING.dump())
    ours = EncryptionService(KeyringFile(path))
    token = ours.encrypt("x")
    changed = RING.add()
    changed = changed.promote(changed.keys[-1].key_id)
    fresh = tmp_path / "fresh"
    fresh.write_text(changed.dump())
    fresh.replace(path)
    assert ours.needs_rotation(token)
    assert ours.decrypt(token) == "x"
    path.write_text("{ half a file")
    assert ours.decrypt(ours.encrypt("y")) == "y"
    path.unlink()
    assert ours.decrypt(token) == "x"
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    key = json.loads(RING.dump())["keys"][0]["key"]
    assert key not in caplog.text


def test_a_file_put_back_with_the_old_mtime_is_noticed_by_its_inode(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(RING.dump())
    ours = EncryptionService(KeyringFile(path))
    other = Keyring.generate()
    fresh = tmp_path / "fresh"
    fresh.write_text(other.dump())
    os.utime(fresh, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    fresh.replace(path)
    assert service(other).decrypt(ours.encrypt("x")) == "x"
