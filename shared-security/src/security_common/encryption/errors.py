"""The errors of field encryption. None contains a key, a plaintext or the context of a ciphertext."""

from typing import ClassVar

from security_common.errors import SecurityError

__all__ = [
    "CiphertextExpired",
    "CiphertextMalformed",
    "DecryptionFailed",
    "EncryptionError",
    "EncryptionKeyMissing",
    "EncryptionKeyWeak",
    "KeyRetired",
    "KeyringInvalid",
    "UnknownKey",
]

_FOR_CLIENT = "this server has no usable encryption key (its operator finds the cause in the log)"


class EncryptionError(SecurityError):
    """The base class of the errors of this package."""

    error: ClassVar[str] = "encryption_error"


class EncryptionKeyMissing(EncryptionError):
    """No key is configured, or the key file does not exist."""

    error: ClassVar[str] = "encryption_key_missing"
    client_text: ClassVar[str] = _FOR_CLIENT


class EncryptionKeyWeak(EncryptionError):
    """The key is a published example, text, or a pattern, and not random bytes."""

    error: ClassVar[str] = "encryption_key_weak"
    client_text: ClassVar[str] = _FOR_CLIENT


class KeyringInvalid(EncryptionError):
    """The keyring cannot be read, or a change would leave it without a usable primary key."""

    error: ClassVar[str] = "keyring_invalid"
    client_text: ClassVar[str] = _FOR_CLIENT


class DecryptionFailed(EncryptionError):
    """The ciphertext was changed, belongs to another context, or was encrypted with another key.

    Cryptography cannot distinguish these cases. The subclasses are the cases that can be distinguished.
    """

    error: ClassVar[str] = "decryption_failed"


class CiphertextMalformed(DecryptionFailed):
    """The text is neither an `enc:v1:` envelope nor a Fernet token."""

    error: ClassVar[str] = "ciphertext_malformed"


class CiphertextExpired(DecryptionFailed):
    """The ciphertext is older than the caller accepts."""

    error: ClassVar[str] = "ciphertext_expired"


class UnknownKey(DecryptionFailed):
    """The keyring has no key with the id in the envelope."""

    error: ClassVar[str] = "unknown_key"


class KeyRetired(DecryptionFailed):
    """The key of the envelope is retired, so it neither encrypts nor decrypts."""

    error: ClassVar[str] = "key_retired"
