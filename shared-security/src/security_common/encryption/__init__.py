"""Field encryption with key rotation and binding to a context.

    text ── data key, context ──▶ HKDF ──▶ Fernet ──▶ enc:v1:<algorithm>:<key id>:<Fernet token>.<proof>

    data_keys            one key: its state, its strength, the keys derived from it
    keyring              the keys of a service, and the file that contains them
    envelope             the ciphertext as text
    encryption_service   encrypt, decrypt, re-encrypt
    reencryption         what a store offers so that its ciphertext can move to the primary key
    errors               the errors of this package

The token is a standard Fernet token (AES-128-CBC and HMAC-SHA256). The envelope adds the key id. HKDF (RFC 5869) binds
the ciphertext to a context, which Fernet cannot do; a ciphertext without context is encrypted with the data key itself
and has no proof. Key rotation: add a key, promote it, re-encrypt the stored data, retire the old key.
"""

from security_common.encryption.data_keys import DataKey, KeyState
from security_common.encryption.encryption_service import (
    EncryptionService,
    get_encryption_service,
    open_encryption_service,
)
from security_common.encryption.envelope import ciphertext_spans
from security_common.encryption.errors import (
    CiphertextExpired,
    CiphertextMalformed,
    DecryptionFailed,
    EncryptionError,
    EncryptionKeyMissing,
    EncryptionKeyWeak,
    KeyRetired,
    KeyringInvalid,
    UnknownKey,
)
from security_common.encryption.keyring import Keyring, KeyringFile
from security_common.encryption.reencryption import ReencryptionResult

__all__ = [
    "CiphertextExpired",
    "CiphertextMalformed",
    "DataKey",
    "DecryptionFailed",
    "EncryptionError",
    "EncryptionKeyMissing",
    "EncryptionKeyWeak",
    "EncryptionService",
    "KeyRetired",
    "KeyState",
    "Keyring",
    "KeyringFile",
    "KeyringInvalid",
    "ReencryptionResult",
    "UnknownKey",
    "ciphertext_spans",
    "get_encryption_service",
    "open_encryption_service",
]
