"""A JWK set read for what can verify RS256 here; everything else in it is passed over, one key at a time (RFC 7517)."""

from collections.abc import Mapping
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import base64_to_int

from security_common.tokens.strict_json import parse_json

__all__ = ["read_keys"]

MIN_MODULUS_BITS, MAX_MODULUS_BITS = 2048, 8192
MAX_DEPTH = 8


def read_keys(raw: bytes) -> dict[str, RSAKey]:
    """The usable keys by id; of two with one id the first counts. Raises ValueError when there is none."""
    keys: dict[str, RSAKey] = {}
    for jwk in _members(parse_json(raw, max_depth=MAX_DEPTH)):
        key = _import(jwk) if _is_usable(jwk) else None
        if key is not None:
            keys.setdefault(jwk["kid"], key)
    if not keys:
        # An issuer without keys has a fault: taking it at its word would refuse every token it has signed.
        raise ValueError("no usable key in the set")
    return keys


def _members(document: Any) -> list[dict[str, Any]]:
    members: Any = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    listed = cast("list[Any]", members) if isinstance(members, list) else []
    return [cast("dict[str, Any]", member) for member in listed if isinstance(member, dict)]


def _is_usable(jwk: Mapping[str, Any]) -> bool:
    key_id: Any = jwk.get("kid")
    operations: Any = jwk.get("key_ops")
    return (
        jwk.get("kty") == "RSA"
        and isinstance(key_id, str)
        and key_id != ""
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "RS256") == "RS256"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _import(jwk: Mapping[str, Any]) -> RSAKey | None:
    modulus, exponent = jwk.get("n"), jwk.get("e")
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        return None
    try:
        if not MIN_MODULUS_BITS <= base64_to_int(modulus).bit_length() <= MAX_MODULUS_BITS:
            return None
        return RSAKey.import_key({"kty": "RSA", "n": modulus, "e": exponent})
    except (JoseError, ValueError, TypeError, OverflowError):
        return None
