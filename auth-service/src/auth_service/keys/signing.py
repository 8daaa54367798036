"""One RSA key: made, sealed, opened, and signing compact JWS (RFC 7515, RFC 7518 section 3.3)."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from joserfc.jwk import RSAKey

from auth_service.vocabulary import DEFAULT_SIGNING_ALGORITHM

__all__ = ["SigningKey", "make_private_pem", "public_jwk_of"]

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
