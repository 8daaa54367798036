"""The keyring: which key encrypts, which still decrypt, which are retired; and its file."""

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
    """An unchangeable set of keys with exactly one primary; every change makes a new one.

    The file is JSON. A file that holds one bare Fernet key is a keyring of that key.
    """

    keys: tuple[DataKey, ...]

    def __post_init__(self) -> None:
        if sum(key.state is KeyState.PRIMARY for key in self.keys) != 1:
            raise KeyringInvalid("a keyring needs exactly one primary key", hint=_HINT)
        if len({key.key_id for key in self.keys}) != len(self.keys):
            raise KeyringInvalid("a key stands in the keyring twice", hint=_HINT)
        if any(not key.material and key.state is not KeyState.RETIRED for key in self.keys):
            raise KeyringInvalid("a key in use has no material", hint=_HINT)

    @classmethod
    def generate(cls) -> Self:
        """A keyring of one new random key."""
        return cls((_new_key(KeyState.PRIMARY),))

    @classmethod
    def load(cls, path: Path, *, setting: str = "") -> Self:
        """Reads a keyring file, which `setting` names. Raises EncryptionKeyMissing, KeyringInvalid, EncryptionKeyWeak.

        The file is JSON as `dump` writes it, or one Fernet key (44 characters of base64url).
        """
        if not path.exists():
            named = f"{setting}: " if setting else ""
            raise EncryptionKeyMissing(
                f"{named}the encryption key file {path} does not exist",
                hint=f"make it with `security-common keys generate {path}`",
            )
        return cls.parse(read_secret_file(path, setting=setting, error=KeyringInvalid, hint=_HINT))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `dump` wrote, or one bare Fernet key."""
        if not text.lstrip().startswith("{"):
            material = parse_material(text)
            return cls(
                (DataKey(key_id=key_id_of(material), state=KeyState.PRIMARY, created_at=None, material=material),)
            )
        try:
            document = json.loads(text)
            if document["keyring"] != _FORMAT:
                raise KeyringInvalid("the keyring has a format of another version", hint=_HINT)
            return cls(tuple(_parse_key(entry) for entry in document["keys"]))
        except (KeyError, TypeError, ValueError):
            # No `from`: the cause would quote the file, which holds keys.
            raise KeyringInvalid("the keyring is damaged", hint=_HINT) from None

    def dump(self) -> str:
        """The text of the keyring file, secrets included."""
        entries = [_dump_key(key) for key in self.keys]
        return json.dumps({"keyring": _FORMAT, "keys": entries}, indent=2) + "\n"

    @property
    def primary(self) -> DataKey:
        """The key that encrypts."""
        return next(key for key in self.keys if key.state is KeyState.PRIMARY)

    def find(self, key_id: str) -> DataKey | None:
        """The key with this id, whatever its state."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    def add(self) -> Self:
        """A new key that only decrypts yet, so that every reader can learn it before the first writer uses it."""
        return type(self)((*self.keys, _new_key(KeyState.DECRYPT_ONLY)))

    def promote(self, key_id: str) -> Self:
        """Makes a key the primary; the one before goes on decrypting."""
        chosen = self._existing(key_id)
        if not chosen.material:
            raise KeyringInvalid(f"key {key_id} was destroyed and cannot be used again")
        states = {self.primary.key_id: KeyState.DECRYPT_ONLY, key_id: KeyState.PRIMARY}
        return self._with_states(states)

    def retire(self, key_id: str, *, destroy: bool = False) -> Self:
        """Takes a key out of use; `destroy` forgets its material too, and with it everything it encrypted."""
        if self._existing(key_id).state is KeyState.PRIMARY:
            raise KeyringInvalid(f"key {key_id} is the primary", hint="promote another key first")
        retired = self._with_states({key_id: KeyState.RETIRED})
        if not destroy:
            return retired
        keys = (replace(key, material=b"") if key.key_id == key_id else key for key in retired.keys)
        return type(self)(tuple(keys))

    def _existing(self, key_id: str) -> DataKey:
        if (key := self.find(key_id)) is None:
            raise KeyringInvalid(f"there is no key {key_id}", hint="`security-common keys status` shows the ids")
        return key

    def _with_states(self, states: Mapping[str, KeyState]) -> Self:
        return type(self)(tuple(replace(key, state=states.get(key.key_id, key.state)) for key in self.keys))


class KeyringFile:
    """A keyring that follows its file: a new mtime, size or inode is a new keyring.

    The first read must succeed. A file that later vanishes or is damaged leaves the keys in use as they are: an
    operator's slip while rotating must not stop a service.
    """

    def __init__(self, path: Path, *, setting: str = "") -> None:
        """`setting` is the variable that names the file. Raises as `Keyring.load` does."""
        self._path = path
        self._setting = setting
        self._seen = self._look()
        self._keyring = Keyring.load(path, setting=setting)

    def __call__(self) -> Keyring:
        """The keyring as of now."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._keyring = Keyring.load(self._path, setting=self._setting)
            except EncryptionError as error:
                logger.error("keyring not reloaded, going on with the one in use: %s", error.description)  # noqa: TRY400 - a traceback could show key text
            else:
                logger.info("keyring reloaded, primary key is %s", self._keyring.primary.key_id)
        return self._keyring

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - on the path of every field: Path.stat costs twice as much
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _new_key(state: KeyState) -> DataKey:
    material = os.urandom(MATERIAL_BYTES)
    created_at = datetime.now(UTC).replace(microsecond=0)
    return DataKey(key_id=key_id_of(material), state=state, created_at=created_at, material=material)


def _parse_key(entry: Mapping[str, Any]) -> DataKey:
    material = parse_material(entry["key"]) if "key" in entry else b""
    if material and key_id_of(material) != entry["id"]:
        raise KeyringInvalid("an id in the keyring does not belong to its key", hint=_HINT)
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
