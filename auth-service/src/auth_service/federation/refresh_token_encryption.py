"""How the refresh tokens of identity providers are stored."""

from pathlib import Path

from security_common.encryption import EncryptionService, KeyringFile
from security_common.service import require_secret_file

__all__ = ["RefreshTokenEncryption"]

_KEK_SETTING = "AUTH_SIGNING_KEY_KEK_FILE"


class RefreshTokenEncryption:
    """Encrypts the refresh tokens of providers. Each is bound to its person, so that it cannot be moved to another."""

    def __init__(self, encryption: EncryptionService) -> None:
        self._encryption = encryption

    @classmethod
    def load(cls, keyring_file: Path | None) -> "RefreshTokenEncryption":
        """With the keyring that encrypts the signing keys. Raises `SecretMissing`, and the errors of the keyring."""
        path = require_secret_file(keyring_file, _KEK_SETTING)
        return cls(EncryptionService(KeyringFile(path, setting=_KEK_SETTING)))

    def encrypt(self, refresh_token: str | None, *, provider_id: str, subject: str) -> str | None:
        """None if there is none."""
        if refresh_token is None:
            return None
        return self._encryption.encrypt(refresh_token, context=_context(provider_id, subject))

    def decrypt(self, encrypted: str, *, provider_id: str, subject: str) -> str:
        """Raises `DecryptionFailed` if the key is missing from the keyring or the person is another one."""
        return self._encryption.decrypt(encrypted, context=_context(provider_id, subject))


def _context(provider_id: str, subject: str) -> dict[str, str]:
    return {"purpose": "refresh token of an identity provider", "provider": provider_id, "subject": subject}
