"""One RSA signing key: creation, encryption at rest, and signing of compact JWS (RFC 7515, RFC 7518 section 3.3)."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from pydantic_core import to_json

from auth_service.keys.rotation import SigningKeyRecord, SigningKeyState
from auth_service.protocol import SIGNING_ALGORITHM
from security_common.encryption import DecryptionFailed, EncryptionService, KeyringFile
from security_common.service import require_secret_file

__all__ = ["PrivateKeyEncryption", "SigningKey", "make_key"]

_KEY_BITS = 2048
_KEK_SETTING = "AUTH_SIGNING_KEY_KEK_FILE"


class SigningKey:
    """A private key in memory, and the encoded headers of the tokens it signs.

    `joserfc.jwt.encode` would encode and check the same header for each token, which adds a tenth to the CPU time of a
    signature (measured with benchmarks/token_issuance.py). So the header is encoded once, and joserfc signs.
    """

    def __init__(self, key_id: str, private_pem: str) -> None:
        self.key_id = key_id
        self._private_key = _load(private_pem)
        self._algorithm = JWSRegistry().get_alg(SIGNING_ALGORITHM)
        self._encoded_headers: dict[str, bytes] = {}

    def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """The compact JWS over the claims, with `token_type` as `typ`."""
        signing_input = self._header(token_type) + b"." + _base64url(to_json(claims))
        signature = self._algorithm.sign(signing_input, self._private_key)
        return (signing_input + b"." + _base64url(signature)).decode("ascii")

    def _header(self, token_type: str) -> bytes:
        encoded = self._encoded_headers.get(token_type)
        if encoded is None:
            header = {"alg": SIGNING_ALGORITHM, "typ": token_type, "kid": self.key_id}
            encoded = _base64url(to_json(header))
            self._encoded_headers[token_type] = encoded
        return encoded


class PrivateKeyEncryption:
    """Encrypts private keys with the primary key of the keyring file, and decrypts with any of its keys.

    Each encrypted key is bound to its key id. The keyring file may change while the service runs.
    """

    def __init__(self, encryption: EncryptionService) -> None:
        self._encryption = encryption

    @classmethod
    def load(cls, keyring_file: Path | None) -> "PrivateKeyEncryption":
        """Raises `SecretMissing`, and the errors of `Keyring.load`."""
        path = require_secret_file(keyring_file, _KEK_SETTING)
        return cls(EncryptionService(KeyringFile(path, setting=_KEK_SETTING)))

    def encrypt(self, private_pem: str, *, key_id: str) -> str:
        return self._encryption.encrypt(private_pem, context=_context(key_id))

    def decrypt(self, encrypted: str, *, key_id: str) -> str:
        """The PEM. Raises `DecryptionFailed` if the KEK is missing from the keyring or the key id is another one."""
        try:
            return self._encryption.decrypt(encrypted, context=_context(key_id))
        except DecryptionFailed as error:
            hint = (
                f"restore the keyring file that {_KEK_SETTING} named before, or run `auth-service key revoke {key_id}`"
            )
            raise DecryptionFailed(f"signing key {key_id}: {error.description}", hint=hint) from error

    def reencrypt(self, record: SigningKeyRecord) -> SigningKeyRecord:
        """The record with its private key under the primary KEK.

        The same record if it already is, or if its KEK is not in this replica's keyring yet.
        """
        encrypted = record.encrypted_private_key
        if encrypted is None or not self._encryption.needs_reencryption(encrypted):
            return record
        try:
            renewed = self._encryption.reencrypt(encrypted, context=_context(record.key_id))
        except DecryptionFailed:
            return record
        return replace(record, encrypted_private_key=renewed)


def make_key(state: SigningKeyState, *, now: float, encryption: PrivateKeyEncryption) -> SigningKeyRecord:
    """A new key in this state. Takes about a tenth of a second: do not call it on the event loop."""
    key = RSAKey.generate_key(_KEY_BITS)
    public = key.as_dict(private=False)
    key_id = key.thumbprint()  # RFC 7638
    return SigningKeyRecord(
        key_id=key_id,
        state=state,
        public_jwk={
            "kty": "RSA",
            "use": "sig",
            "alg": SIGNING_ALGORITHM,
            "kid": key_id,
            "n": public["n"],
            "e": public["e"],
        },
        encrypted_private_key=encryption.encrypt(key.as_pem(private=True).decode(), key_id=key_id),
        created_at_seconds=now,
        changed_at_seconds=now,
    )


def _load(private_pem: str) -> RSAKey:
    # The key was created here and its encryption is authenticated, so OpenSSL's consistency check is skipped: it takes
    # 0.1 s, and even in a thread it blocks the event loop for part of that time.
    private_key = load_pem_private_key(private_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private_key, RSAPrivateKey):
        raise TypeError("a signing key must be RSA")
    return RSAKey.import_key(private_key)


def _context(key_id: str) -> dict[str, str]:
    return {"purpose": "signing key", "kid": key_id}


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
