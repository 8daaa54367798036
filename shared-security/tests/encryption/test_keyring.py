"""The keyring: the states of its keys, its file, the keys that are refused, and the `keys` commands."""

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from local_stack.command_server import run_command
from security_common.encryption import (
    EncryptionKeyMissing,
    EncryptionKeyWeak,
    EncryptionService,
    Keyring,
    KeyringInvalid,
    KeyState,
    open_encryption_service,
)
from security_common.settings import SecuritySettings


def keys(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SECURITY_")}
    return run_command("security-common", "keys", *map(str, arguments), environment=inherited | environment)


def test_a_keyring_is_read_back_from_its_file(tmp_path: Path) -> None:
    keyring = Keyring.generate().add()
    keyring = keyring.promote(keyring.keys[-1].key_id).retire(keyring.keys[0].key_id, destroy=True)
    path = tmp_path / "keyring.json"
    path.write_text(keyring.dump())
    assert Keyring.load(path) == keyring
    assert [key.state for key in keyring.keys] == [KeyState.RETIRED, KeyState.PRIMARY]
    assert "key" not in json.loads(keyring.dump())["keys"][0]


def test_a_bare_fernet_key_is_a_keyring() -> None:
    key = Fernet.generate_key().decode()
    keyring = Keyring.parse(f"{key}\n")
    assert json.loads(keyring.dump())["keys"][0]["key"] == key
    assert Keyring.parse(keyring.dump()).primary.key_id == keyring.primary.key_id


@pytest.mark.parametrize(
    "material",
    [
        bytes(32),
        b"\xff" * 32,
        bytes(range(32)),
        bytes(range(0, 96, 3)),
        b"change-me-change-me-change-me-!!",
        b"0123456789abcdef0123456789abcdef",
        bytes([1, 2, 3, 200]) * 8,
        base64.urlsafe_b64decode("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="),
    ],
)
def test_weak_and_example_keys_are_refused(material: bytes) -> None:
    key = base64.urlsafe_b64encode(material).decode()
    with pytest.raises(EncryptionKeyWeak) as caught:
        Keyring.parse(key)
    assert key not in str(caught.value)
    assert "security-common keys generate" in caught.value.hint


def test_random_keys_are_accepted() -> None:
    for _ in range(500):
        assert Keyring.parse(Fernet.generate_key().decode()).primary.material


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document["keys"].clear(),
        lambda document: document["keys"].append(document["keys"][0]),
        lambda document: document["keys"][0].update(state="retired"),
        lambda document: document["keys"][0].update(state="other"),
        lambda document: document["keys"][0].update(id="00000000"),
        lambda document: document["keys"][0].pop("key"),
        lambda document: document["keys"][0].update(key="AAAA"),
        lambda document: document.update(keyring=2),
        lambda document: document.pop("keys"),
    ],
)
def test_the_error_for_a_damaged_keyring_does_not_contain_a_key(damage: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(Keyring.generate().dump())
    key = document["keys"][0]["key"]
    damage(document)
    with pytest.raises(KeyringInvalid) as caught:
        Keyring.parse(json.dumps(document))
    assert key not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_the_primary_key_cannot_be_retired_nor_a_destroyed_key_promoted() -> None:
    keyring = Keyring.generate()
    first = keyring.primary.key_id
    with pytest.raises(KeyringInvalid):
        keyring.retire(first)
    keyring = keyring.add()
    keyring = keyring.promote(keyring.keys[-1].key_id)
    assert keyring.retire(first).promote(first).primary.key_id == first
    with pytest.raises(KeyringInvalid):
        keyring.retire(first, destroy=True).promote(first)
    with pytest.raises(KeyringInvalid):
        keyring.promote("ffffffff")


def test_the_error_for_a_missing_key_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EncryptionKeyMissing) as nothing_set:
        open_encryption_service(SecuritySettings(encryption_key_file=None, encryption_key=None))
    with pytest.raises(EncryptionKeyMissing) as file_missing:
        open_encryption_service(SecuritySettings(encryption_key_file=tmp_path / "none.json"))
    for caught in (nothing_set, file_missing):
        assert "security-common keys generate" in caught.value.hint


def test_the_keyring_can_be_in_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring.generate()
    monkeypatch.delenv("SECURITY_ENCRYPTION_KEY_FILE", raising=False)
    monkeypatch.setenv("SECURITY_ENCRYPTION_KEY", keyring.dump())
    settings = SecuritySettings()
    assert keyring.dump() not in repr(settings)
    token = open_encryption_service(settings).encrypt("x")
    assert EncryptionService(lambda: keyring).decrypt(token) == "x"


def test_the_commands_generate_add_promote_retire_and_destroy_keys(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    assert keys("generate", path).returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    first = Keyring.load(path).primary.key_id
    again = keys("generate", path)
    assert again.returncode == 2
    assert again.stderr.startswith(f"error: {path} already exists\nhint: ")
    without_folder = keys("generate", tmp_path / "missing" / "keyring.json")
    assert without_folder.returncode == 2
    assert "\nhint: check that the folder exists" in without_folder.stderr
    environment = {"SECURITY_ENCRYPTION_KEY_FILE": str(path)}
    second = keys("add", **environment).stdout.strip()
    assert Keyring.load(path).primary.key_id == first
    assert keys("promote", second, **environment).returncode == 0
    assert keys("retire", second, "--file", path).returncode == 2
    assert keys("retire", first, "--file", path).returncode == 0
    listed = keys("status", "--json", **environment).stdout
    assert [(row["id"], row["state"]) for row in json.loads(listed)["keys"]] == [
        (first, "retired"),
        (second, "primary"),
    ]
    assert not [entry["key"] for entry in json.loads(path.read_text())["keys"] if entry["key"] in listed]
    assert keys("retire", first, "--destroy", **environment).returncode == 0
    assert Keyring.load(path).keys[0].material == b""
    assert keys("status", **environment).returncode == 0
    assert [child.name for child in tmp_path.iterdir()] == ["keyring.json"]


def test_status_reports_when_a_rotation_is_due(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(Keyring.generate().dump())
    fresh = json.loads(keys("status", "--json", "--file", path).stdout)
    assert fresh["rotation_due"] is False
    document = json.loads(path.read_text())
    document["keys"][0]["created"] = "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(document))
    old = keys("status", "--file", path)
    assert old.returncode == 0
    assert "rotate the primary key" in old.stderr


def test_a_keyring_can_be_generated_to_stdout() -> None:
    generated = keys("generate")
    assert Keyring.parse(generated.stdout).primary.state is KeyState.PRIMARY


def test_the_error_without_a_keyring_file_names_the_setting() -> None:
    failed = keys("status")
    assert failed.returncode == 2
    assert "SECURITY_ENCRYPTION_KEY_FILE" in failed.stderr
