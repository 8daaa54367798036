"""One RSA key: made, sealed, opened, and signing compact JWS (RFC 7515, RFC 7518 section 3.3).

Private keys at rest: encrypted under the key-encryption keyring, each bound to its own key id.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from joserfc.jwk import RSAKey

from auth_service.keys.rotation import SigningKeyRecord
from auth_service.protocol import DEFAULT_SIGNING_ALGORITHM
from security_common.encryption import DecryptionFailed, EncryptionService, KeyringFile
from security_common.service import require_secret_file

__all__ = ["PrivateKeyEncryption", "SigningKey", "make_private_pem", "public_jwk_of"]

_KEY_BITS = 2048


class SigningKey:
    """A private key, parsed once, with its headers encoded ahead: signing is one RSA operation and little else."""

    def __init__(self, key_id: str, private_pem: str) -> None:
        self.key_id = key_id
        self._private = _open(private_pem)
        self._headers: dict[str, bytes] = {}

    def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """The compact JWS over the claims."""
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
        signed = self._header(token_type) + b"." + _base64url(payload)
        signature = self._private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64url(signature)).decode("ascii")

    def _header(self, token_type: str) -> bytes:
        header = self._headers.get(token_type)
        if header is None:
            members = {"alg": DEFAULT_SIGNING_ALGORITHM, "typ": token_type, "kid": self.key_id}
            header = self._headers[token_type] = _base64url(json.dumps(members, separators=(",", ":")).encode())
        return header


def make_private_pem() -> str:
    """A fresh private key in PKCS 8; takes about a tenth of a second, so call it off the event loop."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_jwk_of(private_pem: str) -> dict[str, Any]:
    """The public half as the key set publishes it, its `kid` the RFC 7638 thumbprint."""
    key = RSAKey.import_key(_open(private_pem))
    public = key.as_dict(private=False)
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": DEFAULT_SIGNING_ALGORITHM,
        "kid": key.thumbprint(),
        "n": public["n"],
        "e": public["e"],
    }


def _open(private_pem: str) -> rsa.RSAPrivateKey:
    # We made it, and it was sealed until now: OpenSSL's search for a bad key would hold the event loop for 0.1 s.
    private = load_pem_private_key(private_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("a signing key must be RSA")
    return private


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


_SETTING = "AUTH_SIGNING_KEY_KEK_FILE"


class PrivateKeyEncryption:
    """Seals with the primary key of the keyring file, opens with any; the file may change while we run."""

    def __init__(self, encryption: EncryptionService) -> None:
        self._encryption = encryption

    @classmethod
    def load(cls, keyring_file: Path | None) -> "PrivateKeyEncryption":
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

    def renew(self, record: SigningKeyRecord) -> SigningKeyRecord:
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
