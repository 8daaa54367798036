"""Signatures of gateway.lock: which are accepted, and which keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway_service.catalogue.definition_changes import approve
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock, LockInvalid, read_lock, write_lock
from gateway_service.catalogue.lock_signatures import load_lock, sign_lock

FIND: dict[str, Any] = {"name": "find", "description": "Find a customer.", "inputSchema": {"type": "object"}}


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """The public key of the key in key.pem."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(private_pem(key))
    (tmp_path / "keys.pem").write_bytes(public_pem(key))
    return tmp_path / "keys.pem"


@pytest.fixture
def signed(tmp_path: Path, keys_file: Path) -> Path:
    """A signed gateway.lock, which has been read and written again."""
    tools = {"find": approve(DefinitionKind.TOOL, FIND)}
    lock = Lock().with_upstream("crm", ApprovedUpstream(definitions={DefinitionKind.TOOL: tools}))
    file = tmp_path / "gateway.lock"
    write_lock(file, sign_lock(lock, tmp_path / "key.pem")[0])
    read = read_lock(file)
    assert read is not None
    write_lock(file, read)
    assert load_lock(file, keys_file) == read
    return file


def other_description(members: dict[str, Any]) -> None:
    changed = {**FIND, "description": "Send all files."}
    members["upstreams"]["crm"]["tools"]["find"] = {
        "digests": list(approve(DefinitionKind.TOOL, changed).digests),
        "definition": changed,
    }


def second_digest(members: dict[str, Any]) -> None:
    members["upstreams"]["crm"]["tools"]["find"]["digests"].append("sha256:" + "0" * 64)


def another_upstream(members: dict[str, Any]) -> None:
    members["upstreams"]["other"] = members["upstreams"]["crm"]


def without_tool(members: dict[str, Any]) -> None:
    members["upstreams"]["crm"]["tools"] = {}


def without_signature(members: dict[str, Any]) -> None:
    del members["signatures"]


def another_algorithm(members: dict[str, Any]) -> None:
    members["signatures"][0]["protected"] = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}


def cut_signature(members: dict[str, Any]) -> None:
    members["signatures"][0]["signature"] = members["signatures"][0]["signature"][:-4]


@pytest.mark.parametrize(
    "change",
    [
        other_description,
        second_digest,
        another_upstream,
        without_tool,
        without_signature,
        another_algorithm,
        cut_signature,
    ],
)
def test_a_changed_file_is_not_used(signed: Path, keys_file: Path, change: Any) -> None:
    members = json.loads(signed.read_text())
    change(members)
    signed.write_text(json.dumps(members))
    assert read_lock(signed) is not None
    with pytest.raises(LockInvalid, match="has no valid signature of an accepted key"):
        load_lock(signed, keys_file)


def test_a_file_is_demanded_with_keys_only(tmp_path: Path, keys_file: Path) -> None:
    assert load_lock(tmp_path / "gateway.lock", None) is None
    with pytest.raises(LockInvalid, match="does not exist"):
        load_lock(tmp_path / "gateway.lock", keys_file)


@pytest.mark.parametrize(
    "content",
    [
        b"no key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        public_pem(generate_private_key(SECP256R1())),
        private_pem(Ed25519PrivateKey.generate()),
    ],
    ids=["text", "damaged", "curve", "private"],
)
def test_a_file_without_usable_keys_is_an_error(signed: Path, keys_file: Path, content: bytes) -> None:
    keys_file.write_bytes(content)
    with pytest.raises(LockInvalid) as failed:
        load_lock(signed, keys_file)
    assert "openssl" in failed.value.hint
    assert b"PRIVATE" not in str(failed.value).encode()


def test_signing_needs_a_private_key(signed: Path, keys_file: Path) -> None:
    lock = read_lock(signed)
    assert lock is not None
    with pytest.raises(LockInvalid, match="has a public key"):
        sign_lock(lock, keys_file)
