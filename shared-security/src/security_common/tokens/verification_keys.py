"""Signature algorithms (RFC 7518, RFC 8037, RFC 9864), and the keys of a JWK set (RFC 7517) that can verify with them.

joserfc imports the keys and verifies the signatures.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from security_common.strict_json import parse_json

__all__ = ["ALGORITHMS", "VerificationKey", "algorithm_of", "read_key_set"]

PublicKey = RSAKey | ECKey | OKPKey

MIN_MODULUS_BITS = 2048
MAX_MODULUS_BITS = 8192
MAX_JSON_DEPTH = 8
_PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What the key of an algorithm must be: its `kty` and, where the algorithm requires one, its `crv`."""

    key_type: str
    curve: str | None = None


# The algorithms that an issuer's profile may declare; `TrustedIssuer.algorithms` is RS256 only by default. All are
# asymmetric, so that a public key can never be used as the secret of an HMAC (RFC 8725 section 2.1).
ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "RS256": Algorithm("RSA"),
    "PS256": Algorithm("RSA"),
    "ES256": Algorithm("EC", "P-256"),
    "EdDSA": Algorithm("OKP", "Ed25519"),
}
# RFC 9864 gives EdDSA with the curve Ed25519 a name of its own. Issuers use either name.
_ED25519 = "Ed25519"

_REGISTRY = jws.JWSRegistry(algorithms=["RS256", "PS256", "ES256", _ED25519])
_SIGNATURE_ALGORITHMS = {name: _REGISTRY.get_alg(_ED25519 if name == "EdDSA" else name) for name in ALGORITHMS}


def algorithm_of(members: Mapping[str, Any]) -> str:
    """The `alg` of a JOSE header or of a JWK, by its name in `ALGORITHMS`; empty if it is not one of them."""
    name: Any = members.get("alg")
    name = "EdDSA" if name == _ED25519 else name
    return name if isinstance(name, str) and name in ALGORITHMS else ""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the algorithms that it may be used with."""

    key: PublicKey
    algorithms: frozenset[str]

    def verifies(self, signed: bytes, signature: bytes, *, algorithm: str) -> bool:
        """Whether the key may be used with the algorithm and the signature is valid."""
        return algorithm in self.algorithms and _SIGNATURE_ALGORITHMS[algorithm].verify(signed, signature, self.key)

    def is_same_as(self, other: "VerificationKey") -> bool:
        """Whether both have the same thumbprint (RFC 7638)."""
        return self.key.thumbprint() == other.key.thumbprint()


def read_key_set(raw: bytes, algorithms: Collection[str]) -> dict[str, VerificationKey]:
    """The keys of a JWK set that can be used with these algorithms, by key id; other members are ignored.

    If two keys have the same id, the first one is used. Raises ValueError when no key can be used.
    """
    keys: dict[str, VerificationKey] = {}
    for jwk in _read_jwks(parse_json(raw, max_depth=MAX_JSON_DEPTH)):
        usable = _usable_algorithms(jwk, algorithms)
        key = _import_key(jwk) if usable else None
        if key is not None:
            keys.setdefault(jwk["kid"], VerificationKey(key, usable))
    if not keys:
        # An empty set is treated as a fault of the issuer. To apply it would reject every token of the issuer.
        raise ValueError("no usable key in the set")
    return keys


def _read_jwks(document: Any) -> list[dict[str, Any]]:
    members: Any = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        return []
    return [cast("dict[str, Any]", member) for member in cast("list[Any]", members) if isinstance(member, dict)]


def _usable_algorithms(jwk: Mapping[str, Any], algorithms: Collection[str]) -> frozenset[str]:
    """Which of the algorithms the key may be used with, by its own members (RFC 7517 section 4)."""
    key_id: Any = jwk.get("kid")
    operations: Any = jwk.get("key_ops")
    may_verify = operations is None or (isinstance(operations, list) and "verify" in operations)
    if not isinstance(key_id, str) or key_id == "" or jwk.get("use", "sig") != "sig" or not may_verify:
        return frozenset()
    return frozenset(name for name in algorithms if _fits(jwk, name))


def _fits(jwk: Mapping[str, Any], name: str) -> bool:
    algorithm = ALGORITHMS[name]
    has_type = jwk.get("kty") == algorithm.key_type
    has_curve = algorithm.curve is None or jwk.get("crv") == algorithm.curve
    return has_type and has_curve and ("alg" not in jwk or algorithm_of(jwk) == name)


def _import_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    """The key from its public members; all others (`x5u`, `x5c`, private members) are ignored."""
    names = ("kty", *_PUBLIC_MEMBERS[jwk["kty"]])
    members: dict[str, Any] = {name: jwk.get(name) for name in names}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    try:
        match jwk["kty"]:
            case "EC":
                return ECKey.import_key(members)
            case "OKP":
                return OKPKey.import_key(members)
            case _:
                modulus_bits = base64_to_int(members["n"]).bit_length()
                return RSAKey.import_key(members) if MIN_MODULUS_BITS <= modulus_bits <= MAX_MODULUS_BITS else None
    except (JoseError, ValueError, TypeError, OverflowError):
        return None
