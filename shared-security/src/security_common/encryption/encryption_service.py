"""Encryption, decryption and re-encryption of single fields with a keyring."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from cryptography.fernet import InvalidToken

from security_common.encryption.data_keys import DataKey, KeyState
from security_common.encryption.envelope import BOUND, UNBOUND, Envelope
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
    """Field encryption. Threads and tasks can share it. Encrypting a field takes about ten microseconds."""

    def __init__(self, keyring: Callable[[], Keyring], *, clock: Callable[[], float] = time.time) -> None:
        """`keyring` returns the current keyring, `clock` the seconds since the epoch."""
        self._keyring = keyring
        self._clock = clock

    def encrypt(self, text: str, *, context: Mapping[str, str] | None = None) -> str:
        """The text as `enc:v1:...`. With a context, it can be decrypted only with the same context."""
        return self._encrypt_with(self._keyring().primary, text.encode(), context, int(self._clock()))

    def decrypt(
        self, token: str, *, context: Mapping[str, str] | None = None, max_age_seconds: float | None = None
    ) -> str:
        """The plaintext of an envelope or of a bare Fernet token.

        Raises DecryptionFailed, or its subclasses CiphertextMalformed, CiphertextExpired, UnknownKey and KeyRetired.
        """
        plaintext, encrypted_at = self._decrypt_envelope(Envelope.parse(token), context)
        if max_age_seconds is not None and self._clock() - encrypted_at > max_age_seconds:
            raise CiphertextExpired("the ciphertext is older than allowed")
        return plaintext.decode()

    def key_states(self) -> dict[str, str]:
        """The state of each key (primary, decrypt-only, retired) by its id."""
        return {key.key_id: str(key.state) for key in self._keyring().keys}

    def recognizes(self, token: str) -> bool:
        """Whether a key of the keyring that still decrypts created this ciphertext, with any context."""
        try:
            envelope = Envelope.parse(token)
            if envelope.proof is None:
                self._decrypt_envelope(envelope, None)
            else:
                self._keys_for(envelope)
        except DecryptionFailed:
            return False
        return True

    def needs_reencryption(self, token: str) -> bool:
        """Whether a key other than the primary one created this ciphertext. Raises CiphertextMalformed."""
        return Envelope.parse(token).key_id != self._keyring().primary.key_id

    def reencrypt(self, token: str, *, context: Mapping[str, str] | None = None) -> str:
        """The same text and time of encryption under the primary key. Raises the same errors as `decrypt`."""
        envelope = Envelope.parse(token)
        keyring = self._keyring()
        if envelope.key_id == keyring.primary.key_id:
            return token
        plaintext, encrypted_at = self._decrypt_envelope(envelope, context)
        return self._encrypt_with(keyring.primary, plaintext, context, encrypted_at)

    def _encrypt_with(self, key: DataKey, plaintext: bytes, context: Mapping[str, str] | None, at_seconds: int) -> str:
        token = key.cipher(context).encrypt_at_time(plaintext, at_seconds).decode()
        if context is None:
            return str(Envelope(UNBOUND, key.key_id, token))
        return str(Envelope(BOUND, key.key_id, token, key.proof(token)))

    def _decrypt_envelope(self, envelope: Envelope, context: Mapping[str, str] | None) -> tuple[bytes, int]:
        """The plaintext, and the time of encryption in seconds since the epoch."""
        is_bound = envelope.algorithm == BOUND
        if is_bound != (context is not None):
            raise DecryptionFailed("the ciphertext does not belong to this context")
        for key in self._keys_for(envelope):
            cipher = key.cipher(context)
            try:
                return cipher.decrypt(envelope.token), cipher.extract_timestamp(envelope.token)
            except InvalidToken:
                continue
        raise DecryptionFailed("the ciphertext was changed, or belongs to another context or key")

    def _keys_for(self, envelope: Envelope) -> Sequence[DataKey]:
        """The keys that can have created a ciphertext; verifies its proof.

        A bare Fernet token does not name its key, so every key that is not retired is tried.
        """
        keyring = self._keyring()
        if envelope.key_id is None:
            return [key for key in keyring.keys if key.state is not KeyState.RETIRED]
        key = keyring.find(envelope.key_id)
        if key is None:
            raise UnknownKey("the ciphertext was created with a key that is not in this keyring")
        if key.state is KeyState.RETIRED:
            raise KeyRetired("the ciphertext was created with a key that is retired")
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
    """The service of this process, configured by the environment. Raises the errors of `open_encryption_service`."""
    return open_encryption_service(SecuritySettings())
