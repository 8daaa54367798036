"""Signature algorithms: which keys fit which, and the check itself (RFC 7518, RFC 8037, RFC 9864)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

__all__ = ["ALGORITHMS", "AlgorithmKeys", "PublicKey", "algorithm_of", "is_signed_by"]

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class AlgorithmKeys:
    """What a key of the algorithm is: its `kty` and, where there are curves, its `crv`."""

    key_type: str
    curve: str | None = None


# Asymmetric ones only, so that a public key can never serve as the secret of an HMAC (RFC 8725 section 2.1).
ALGORITHMS: Final[Mapping[str, AlgorithmKeys]] = {
    "RS256": AlgorithmKeys("RSA"),
    "PS256": AlgorithmKeys("RSA"),
    "ES256": AlgorithmKeys("EC", "P-256"),
    "EdDSA": AlgorithmKeys("OKP", "Ed25519"),
}
# RFC 9864 gives EdDSA with the curve Ed25519 a name of its own; issuers use either.
_ED25519 = "Ed25519"

_REGISTRY = jws.JWSRegistry(algorithms=["RS256", "PS256", "ES256", _ED25519])
_MODELS = {name: _REGISTRY.get_alg(_ED25519 if name == "EdDSA" else name) for name in ALGORITHMS}


def algorithm_of(members: Mapping[str, Any]) -> str:
    """The `alg` of a JOSE header or a JWK under the name used in `ALGORITHMS`; empty if it is none of them."""
    name: Any = members.get("alg")
    name = "EdDSA" if name == _ED25519 else name
    return name if isinstance(name, str) and name in ALGORITHMS else ""


def is_signed_by(key: PublicKey, signed: bytes, signature: bytes, *, algorithm: str) -> bool:
    """Whether the signature is right. The key must fit the algorithm."""
    return _MODELS[algorithm].verify(signed, signature, key)
