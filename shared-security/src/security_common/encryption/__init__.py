"""Field encryption: which key, which context, and how a key is replaced without downtime.

    text ── context ──▶ HKDF(primary key, context) ──▶ Fernet ──▶ enc:v1:<alg>:<kid>:<token>

keys      a key, judged before use     keyring   primary, decrypt-only, retired; the file
envelope  the ciphertext as text       service   encrypt, decrypt, follow the file
                                       renewal   everything stored, under the primary key

The token inside an envelope is a standard Fernet token (AES-128-CBC and HMAC-SHA256); the envelope adds the key id, and
HKDF (RFC 5869) the binding to a context, which Fernet lacks. Rotation: `add`, `promote`, re-encrypt, `retire`.
"""

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
from security_common.encryption.keyring import Keyring
from security_common.encryption.keys import Key, KeyState
from security_common.encryption.renewal import Renewal
from security_common.encryption.service import (
    EncryptionService,
    KeyringFile,
    get_encryption_service,
    open_encryption_service,
)

__all__ = [
    "CiphertextExpired",
    "CiphertextMalformed",
    "DecryptionFailed",
    "EncryptionError",
    "EncryptionKeyMissing",
    "EncryptionKeyWeak",
    "EncryptionService",
    "Key",
    "KeyRetired",
    "KeyState",
    "Keyring",
    "KeyringFile",
    "KeyringInvalid",
    "Renewal",
    "UnknownKey",
    "ciphertext_spans",
    "get_encryption_service",
    "open_encryption_service",
]
