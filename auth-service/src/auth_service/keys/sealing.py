"""Private keys at rest: encrypted under the key-encryption keyring, each bound to its own key id."""

from dataclasses import replace
from pathlib import Path

from auth_service.keys.record import KeyRecord
from security_common.encryption import DecryptionFailed, EncryptionService, KeyringFile
from security_common.service import require_secret_file

__all__ = ["Sealer"]

_SETTING = "AUTH_SIGNING_KEY_KEK_FILE"


class Sealer:
    """Seals with the primary key of the keyring file, opens with any; the file may change while we run."""

    def __init__(self, encryption: EncryptionService) -> None:
        self._encryption = encryption

    @classmethod
    def load(cls, keyring_file: Path | None) -> "Sealer":
        """Raises `SecretMissing`, or what `Keyring.load` raises."""
        return cls(EncryptionService(KeyringFile(require_secret_file(keyring_file, _SETTING), setting=_SETTING)))

    def seal(self, private_pem: str, *, key_id: str) -> str:
        return self._encryption.encrypt(private_pem, context=_context(key_id))

    def open(self, sealed: str, *, key_id: str) -> str:
        """The PEM. Raises `DecryptionFailed`: another KEK, or another key's record."""
        try:
            return self._encryption.decrypt(sealed, context=_context(key_id))
        except DecryptionFailed as error:
            hint = f"put back the keyring AUTH_SIGNING_KEY_KEK_FILE had, or `auth-service key revoke {key_id}`"
            raise DecryptionFailed(f"signing key {key_id}: {error.description}", hint=hint) from error

    def renew(self, record: KeyRecord) -> KeyRecord:
        """The same key under today's primary KEK; the same record when it is, or when its KEK has not come here yet."""
        sealed = record.sealed_private_key
        if sealed is None or not self._encryption.needs_rotation(sealed):
            return record
        try:
            fresh = self._encryption.reencrypt(sealed, context=_context(record.key_id))
        except DecryptionFailed:
            return record
        return replace(record, sealed_private_key=fresh)


def _context(key_id: str) -> dict[str, str]:
    return {"purpose": "signing key", "kid": key_id}
