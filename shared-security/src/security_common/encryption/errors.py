"""What can go wrong with keys and ciphertext. No error names a key, a plaintext or the context of a ciphertext."""

from typing import ClassVar

from security_common.errors import SecurityError


class EncryptionError(SecurityError):
    """The root of this room's errors."""

    error: ClassVar[str] = "encryption_error"


class EncryptionKeyMissing(EncryptionError):
    """No key is configured, or its file is not there."""

    error: ClassVar[str] = "encryption_key_missing"


class EncryptionKeyWeak(EncryptionError):
    """The key is an example from documentation, or text or a pattern in place of random bytes."""

    error: ClassVar[str] = "encryption_key_weak"


class KeyringInvalid(EncryptionError):
    """The keyring cannot be read, or the change asked for would leave it without a usable primary key."""

    error: ClassVar[str] = "keyring_invalid"


class DecryptionFailed(EncryptionError):
    """The ciphertext was changed, moved to another context, or made with another key.

    Those cases look alike to cryptography; the subclasses are the ones that can be told apart.
    """

    error: ClassVar[str] = "decryption_failed"


class CiphertextMalformed(DecryptionFailed):
    """The text is neither an `enc:v1:` envelope nor a Fernet token."""

    error: ClassVar[str] = "ciphertext_malformed"


class CiphertextExpired(DecryptionFailed):
    """The ciphertext is older than the caller allows."""

    error: ClassVar[str] = "ciphertext_expired"


class UnknownKey(DecryptionFailed):
    """The keyring has no key with the envelope's id."""

    error: ClassVar[str] = "unknown_key"


class KeyRetired(DecryptionFailed):
    """The envelope's key is retired: it neither encrypts nor decrypts."""

    error: ClassVar[str] = "key_retired"
