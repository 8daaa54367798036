"""Encrypting and decrypting with a keyring, and reading that keyring again when its file changes."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from cryptography.fernet import InvalidToken

from security_common.encryption.data_keys import DataKey, KeyState
from security_common.encryption.envelope import BOUND, PLAIN, Envelope
from security_common.encryption.errors import (
    CiphertextExpired,
    DecryptionFailed,
    EncryptionKeyMissing,
    KeyRetired,
    UnknownKey,
)
from security_common.encryption.keyring import Keyring, KeyringFile
from security_common.settings import SecuritySettings

__all__ = ["EncryptionService", "get_encryption_service", "open_encryption_service"]


class EncryptionService:
    """Field encryption. Safe to share between threads and tasks; a field costs some ten microseconds."""

    def __init__(self, keyring: Callable[[], Keyring], *, clock: Callable[[], float] = time.time) -> None:
        """`keyring` gives the keyring in use; `clock` gives seconds since the epoch."""
        self._keyring = keyring
        self._clock = clock

    def encrypt(self, text: str, *, context: Mapping[str, str] | None = None) -> str:
        """The text as `enc:v1:...`. With a context it opens only under the same context."""
        return self._seal(self._keyring().primary, text.encode(), context, int(self._clock()))

    def decrypt(
        self, token: str, *, context: Mapping[str, str] | None = None, max_age_seconds: float | None = None
    ) -> str:
        """The text that was encrypted; bare Fernet tokens are read too.

        Raises DecryptionFailed, or its subclasses CiphertextMalformed, CiphertextExpired, UnknownKey and KeyRetired.
        """
        plain, made_at = self._open(Envelope.parse(token), context)
        if max_age_seconds is not None and self._clock() - made_at > max_age_seconds:
            raise CiphertextExpired("the ciphertext is older than allowed")
        return plain.decode()

    def key_states(self) -> dict[str, str]:
        """The state of each key in the keyring (primary, decrypt-only, retired) by its id."""
        return {key.key_id: str(key.state) for key in self._keyring().keys}

    def recognizes(self, token: str) -> bool:
        """Whether a key of ours that still decrypts made this ciphertext, whatever context it is bound to."""
        try:
            envelope = Envelope.parse(token)
            if envelope.proof is None:
                self._open(envelope, None)
            else:
                self._keys(envelope)
        except DecryptionFailed:
            return False
        return True

    def needs_rotation(self, token: str) -> bool:
        """Whether another key than today's primary made it. Raises CiphertextMalformed."""
        return Envelope.parse(token).key_id != self._keyring().primary.key_id

    def reencrypt(self, token: str, *, context: Mapping[str, str] | None = None) -> str:
        """The same text under the primary key, with the time it was first encrypted. Raises as `decrypt` does."""
        envelope = Envelope.parse(token)
        keyring = self._keyring()
        if envelope.key_id == keyring.primary.key_id:
            return token
        plain, made_at = self._open(envelope, context)
        return self._seal(keyring.primary, plain, context, made_at)

    def _seal(self, key: DataKey, plain: bytes, context: Mapping[str, str] | None, at_seconds: int) -> str:
        token = key.cipher(context).encrypt_at_time(plain, at_seconds).decode()
        bound = context is not None
        return str(Envelope(BOUND if bound else PLAIN, key.key_id, token, key.proof(token) if bound else None))

    def _open(self, envelope: Envelope, context: Mapping[str, str] | None) -> tuple[bytes, int]:
        if (envelope.algorithm == BOUND) != (context is not None):
            raise DecryptionFailed("the ciphertext does not belong to this context")
        for key in self._keys(envelope):
            cipher = key.cipher(context)
            try:
                return cipher.decrypt(envelope.token), cipher.extract_timestamp(envelope.token)
            except InvalidToken:
                continue
        raise DecryptionFailed("the ciphertext was changed, or belongs to another context or key")

    def _keys(self, envelope: Envelope) -> Sequence[DataKey]:
        keyring = self._keyring()
        if envelope.key_id is None:
            return [key for key in keyring.keys if key.state is not KeyState.RETIRED]
        if (key := keyring.find(envelope.key_id)) is None:
            raise UnknownKey("the ciphertext was made with a key that this keyring does not have")
        if key.state is KeyState.RETIRED:
            raise KeyRetired("the ciphertext was made with a key that is retired")
        if envelope.proof is not None and not hmac.compare_digest(key.proof(envelope.token), envelope.proof):
            raise DecryptionFailed("the ciphertext was changed")
        return [key]


def open_encryption_service(settings: SecuritySettings) -> EncryptionService:
    """The service for these settings. Raises EncryptionKeyMissing, EncryptionKeyWeak or KeyringInvalid."""
    if settings.encryption_key_file is not None:
        keyring_file = KeyringFile(settings.encryption_key_file, setting="SECURITY_ENCRYPTION_KEY_FILE")
        return EncryptionService(keyring_file)
    if settings.encryption_key is not None:
        keyring = Keyring.parse(settings.encryption_key.get_secret_value())
        return EncryptionService(lambda: keyring)
    raise EncryptionKeyMissing(
        "no encryption key is configured",
        hint="run `security-common keys generate keyring.json` and set SECURITY_ENCRYPTION_KEY_FILE=keyring.json",
    )


@cache
def get_encryption_service() -> EncryptionService:
    """The service of this process, from the environment. Raises as `open_encryption_service` does."""
    return open_encryption_service(SecuritySettings())
