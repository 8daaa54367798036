"""The keyring: the data keys of a service with their states, and the file that contains them."""

import base64
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from security_common.encryption.data_keys import MATERIAL_BYTES, DataKey, KeyState, key_id_of, parse_material
from security_common.encryption.errors import EncryptionError, EncryptionKeyMissing, KeyringInvalid
from security_common.secret_files import read_secret_file

__all__ = ["Keyring", "KeyringFile"]

logger = logging.getLogger(__name__)

_FORMAT = 1
_HINT = "run `security-common keys status` on the file, or restore it from a backup"


@dataclass(frozen=True, slots=True)
class Keyring:
    """An immutable set of keys with exactly one primary key. Every change returns a new keyring.

    The file is JSON. A file with one bare Fernet key is a keyring with that key.
    """

    keys: tuple[DataKey, ...]

    def __post_init__(self) -> None:
        if sum(key.state is KeyState.PRIMARY for key in self.keys) != 1:
            raise KeyringInvalid("a keyring needs exactly one primary key", hint=_HINT)
        if len({key.key_id for key in self.keys}) != len(self.keys):
            raise KeyringInvalid("a key appears twice in the keyring", hint=_HINT)
        if any(not key.material and key.state is not KeyState.RETIRED for key in self.keys):
            raise KeyringInvalid("a key in use has no material", hint=_HINT)

    @classmethod
    def generate(cls) -> Self:
        """A keyring with one new random key."""
        return cls((_generate_key(KeyState.PRIMARY),))

    @classmethod
    def load(cls, path: Path, *, setting: str = "") -> Self:
        """Reads a keyring file. `setting` is the variable that names the file, for the error message.

        The file has JSON as `dump` writes it, or one Fernet key (44 characters of base64url). Raises
        EncryptionKeyMissing, KeyringInvalid, EncryptionKeyWeak.
        """
        if not path.exists():
            prefix = f"{setting}: " if setting else ""
            raise EncryptionKeyMissing(
                f"{prefix}the encryption key file {path} does not exist",
                hint=f"create it with `security-common keys generate {path}`",
            )
        return cls.parse(read_secret_file(path, setting=setting, error=KeyringInvalid, hint=_HINT))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses what `dump` returns, or one bare Fernet key. Raises KeyringInvalid, EncryptionKeyWeak."""
        if not text.lstrip().startswith("{"):
            material = parse_material(text)
            only_key = DataKey(key_id=key_id_of(material), state=KeyState.PRIMARY, created_at=None, material=material)
            return cls((only_key,))
        try:
            document = json.loads(text)
            if document["keyring"] != _FORMAT:
                raise KeyringInvalid("the keyring has the format of another version", hint=_HINT)
            return cls(tuple(_parse_key(entry) for entry in document["keys"]))
        except (KeyError, TypeError, ValueError):
            # Without `from`: the cause would quote the file, which contains keys.
            raise KeyringInvalid("the keyring is damaged", hint=_HINT) from None

    def dump(self) -> str:
        """The content of the keyring file, including the secret keys."""
        entries = [_dump_key(key) for key in self.keys]
        return json.dumps({"keyring": _FORMAT, "keys": entries}, indent=2) + "\n"

    @property
    def primary(self) -> DataKey:
        """The key that encrypts."""
        return next(key for key in self.keys if key.state is KeyState.PRIMARY)

    def find(self, key_id: str) -> DataKey | None:
        """The key with this id, in any state."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    def add(self) -> Self:
        """Adds a new key that only decrypts at first, so that every reader has it before a writer uses it."""
        return type(self)((*self.keys, _generate_key(KeyState.DECRYPT_ONLY)))

    def promote(self, key_id: str) -> Self:
        """Makes a key the primary one. The previous primary key only decrypts from then on. Raises KeyringInvalid."""
        key = self._get(key_id)
        if not key.material:
            raise KeyringInvalid(f"key {key_id} was destroyed and cannot be used again")
        return self._with_states({self.primary.key_id: KeyState.DECRYPT_ONLY, key_id: KeyState.PRIMARY})

    def retire(self, key_id: str, *, destroy: bool = False) -> Self:
        """Takes a key out of use. `destroy` also deletes its material: what it encrypted is lost.

        Raises KeyringInvalid if it is the primary key or not in the keyring.
        """
        if self._get(key_id).state is KeyState.PRIMARY:
            raise KeyringInvalid(f"key {key_id} is the primary key", hint="promote another key first")
        retired = self._with_states({key_id: KeyState.RETIRED})
        if not destroy:
            return retired
        keys = (replace(key, material=b"") if key.key_id == key_id else key for key in retired.keys)
        return type(self)(tuple(keys))

    def _get(self, key_id: str) -> DataKey:
        key = self.find(key_id)
        if key is None:
            raise KeyringInvalid(
                f"the keyring has no key {key_id}", hint="`security-common keys status` lists the key ids"
            )
        return key

    def _with_states(self, states: Mapping[str, KeyState]) -> Self:
        return type(self)(tuple(replace(key, state=states.get(key.key_id, key.state)) for key in self.keys))


class KeyringFile:
    """A keyring that is read again when its file changes, that is when its mtime, size or inode changes.

    The first read must succeed. If the file is deleted or damaged later, the keys stay in use and an error is logged: a
    mistake during key rotation must not stop a service.
    """

    def __init__(self, path: Path, *, setting: str = "") -> None:
        """`setting` is the variable that names the file. Raises the errors of `Keyring.load`."""
        self._path = path
        self._setting = setting
        self._version = self._read_version()
        self._keyring = Keyring.load(path, setting=setting)

    def __call__(self) -> Keyring:
        """The current keyring."""
        version = self._read_version()
        if version != self._version:
            self._version = version
            self._reload()
        return self._keyring

    def _reload(self) -> None:
        try:
            self._keyring = Keyring.load(self._path, setting=self._setting)
        except EncryptionError as error:
            logger.error("keyring_reload_failed cause=%s", error.description)  # noqa: TRY400 - a traceback could contain key text
        else:
            logger.info("keyring_reloaded primary_key=%s", self._keyring.primary.key_id)

    def _read_version(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - called for every field; Path.stat takes twice as long
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _generate_key(state: KeyState) -> DataKey:
    material = os.urandom(MATERIAL_BYTES)
    created_at = datetime.now(UTC).replace(microsecond=0)
    return DataKey(key_id=key_id_of(material), state=state, created_at=created_at, material=material)


def _parse_key(entry: Mapping[str, Any]) -> DataKey:
    material = parse_material(entry["key"]) if "key" in entry else b""
    if material and key_id_of(material) != entry["id"]:
        raise KeyringInvalid("an id in the keyring does not match its key", hint=_HINT)
    created = entry.get("created")
    return DataKey(
        key_id=str(entry["id"]),
        state=KeyState(entry["state"]),
        created_at=None if created is None else datetime.fromisoformat(created),
        material=material,
    )


def _dump_key(key: DataKey) -> dict[str, str]:
    entry = {"id": key.key_id, "state": str(key.state)}
    if key.created_at is not None:
        entry["created"] = key.created_at.isoformat()
    if key.material:
        entry["key"] = base64.urlsafe_b64encode(key.material).decode()
    return entry
