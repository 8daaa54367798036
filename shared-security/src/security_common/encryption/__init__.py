"""Field encryption: which key, which context, and how a key is replaced without downtime.

    text ── context ──▶ HKDF(primary key, context) ──▶ Fernet ──▶ enc:v1:<alg>:<kid>:<token>

keys      a key, judged before use     keyring   primary, decrypt-only, retired; the file
envelope  the ciphertext as text       service   encrypt, decrypt, follow the file
                                       renewal   everything stored, under the primary key

The token inside an envelope is a standard Fernet token (AES-128-CBC and HMAC-SHA256); the envelope adds the key id, and
HKDF (RFC 5869) the binding to a context, which Fernet lacks. Rotation: `add`, `promote`, re-encrypt, `retire`.
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
