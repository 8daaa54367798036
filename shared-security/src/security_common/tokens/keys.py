"""A JWK set read for the keys that can verify an issuer's tokens; every other member is skipped (RFC 7517)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from security_common.tokens.signatures import ALGORITHMS, PublicKey, algorithm_of, is_signed_by
from security_common.tokens.strict_json import parse_json

__all__ = ["VerificationKey", "read_keys"]

MIN_MODULUS_BITS, MAX_MODULUS_BITS = 2048, 8192
MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, and the algorithms it may be used with."""

    key: PublicKey
    algorithms: frozenset[str]

    def verifies(self, signed: bytes, signature: bytes, *, algorithm: str) -> bool:
        """Whether the signature is right and the algorithm one of this key's."""
        return algorithm in self.algorithms and is_signed_by(self.key, signed, signature, algorithm=algorithm)

    def is_same_as(self, other: "VerificationKey") -> bool:
        """Whether both are one key (RFC 7638)."""
        return self.key.thumbprint() == other.key.thumbprint()


def read_keys(raw: bytes, algorithms: Collection[str]) -> dict[str, VerificationKey]:
    """The keys for these algorithms by id; of two with one id the first counts.

    Raises ValueError when the set has none of them.
    """
    keys: dict[str, VerificationKey] = {}
    for jwk in _members(parse_json(raw, max_depth=MAX_DEPTH)):
        usable = _usable_algorithms(jwk, algorithms)
        key = _import(jwk) if usable else None
        if key is not None:
            keys.setdefault(jwk["kid"], VerificationKey(key, usable))
    if not keys:
        # An issuer without keys has a fault: taking it at its word would refuse every token it has signed.
        raise ValueError("no usable key in the set")
    return keys


def _members(document: Any) -> list[dict[str, Any]]:
    members: Any = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    listed = cast("list[Any]", members) if isinstance(members, list) else []
    return [cast("dict[str, Any]", member) for member in listed if isinstance(member, dict)]


def _usable_algorithms(jwk: Mapping[str, Any], algorithms: Collection[str]) -> frozenset[str]:
    """Which of the algorithms the key may be used with by what it says of itself (RFC 7517 section 4)."""
    key_id: Any = jwk.get("kid")
    operations: Any = jwk.get("key_ops")
    may_verify = operations is None or (isinstance(operations, list) and "verify" in operations)
    if not isinstance(key_id, str) or key_id == "" or jwk.get("use", "sig") != "sig" or not may_verify:
        return frozenset()
    fitting = (
        name
        for name in algorithms
        if ALGORITHMS[name].key_type == jwk.get("kty") and ALGORITHMS[name].curve in (None, jwk.get("crv"))
    )
    return frozenset(name for name in fitting if "alg" not in jwk or algorithm_of(jwk) == name)


def _import(jwk: Mapping[str, Any]) -> PublicKey | None:
    """The public members alone: what else a JWK says (`x5u`, `x5c`, private members) is not looked at."""
    names = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}[jwk["kty"]]
    members: dict[str, Any] = {name: jwk.get(name) for name in ("kty", *names)}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    try:
        if jwk["kty"] == "EC":
            return ECKey.import_key(members)
        if jwk["kty"] == "OKP":
            return OKPKey.import_key(members)
        if not MIN_MODULUS_BITS <= base64_to_int(members["n"]).bit_length() <= MAX_MODULUS_BITS:
            return None
        return RSAKey.import_key(members)
    except (JoseError, ValueError, TypeError, OverflowError):
        return None
