"""The signature of a token of the provider: which algorithms are accepted, and which key must have made it."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any, cast

from joserfc import jwk, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from security_common.strict_json import parse_json

__all__ = ["ALGORITHMS", "KeyNotFound", "read_keys", "verify_signature"]

# Whatever the provider's metadata lists: never `none`, and never HS256, whose key is the client secret.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_KEY_TYPES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 16384


class KeyNotFound(ProviderFailure):
    """No key for the algorithm of the token has this key id: the provider may have rotated its keys."""

    def __init__(self) -> None:
        super().__init__(ProviderProblem.BAD_ID_TOKEN, "the key of the token is unknown")


def read_keys(document: Mapping[str, Any]) -> tuple[jwk.Key, ...]:
    """The keys for signatures; others, and those of unknown types, are ignored. Raises `ProviderFailure` if none."""
    members: Any = document.get("keys")
    keys: list[jwk.Key] = []
    for member in cast("list[Any]", members) if isinstance(members, list) else []:
        if not isinstance(member, dict):
            continue
        key = _import(cast("dict[str, Any]", member))
        if key is not None:
            keys.append(key)
    if not keys:
        raise ProviderFailure(ProviderProblem.MISCONFIGURED, "the key set of the provider has no usable key")
    return tuple(keys)


def verify_signature(token: str, keys: Sequence[jwk.Key]) -> jwt.Token:
    """The header and claims. Raises `KeyNotFound`, or `ProviderFailure` for a malformed token or a wrong signature."""
    header = _read_header(token)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise _bad(f"the token is not signed with one of {', '.join(ALGORITHMS)}")
    if "crit" in header:
        raise _bad("the token needs an extension that is not supported (crit)")
    key = _choose(header.get("kid"), [each for each in keys if _fits(each, str(algorithm))])
    try:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        return jwt.decode(token, key, registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _bad("the signature of the token is wrong") from error


def _read_header(token: str) -> Mapping[str, Any]:
    if token.count(".") != 2:
        raise _bad("the token is not a JWT")
    try:
        header = parse_json(urlsafe_b64decode(f"{token.partition('.')[0]}=="), max_depth=4)
    except (ValueError, RecursionError) as error:
        raise _bad("the header of the token cannot be read") from error
    if not isinstance(header, dict):
        raise _bad("the header of the token is not an object")
    return cast("Mapping[str, Any]", header)


def _choose(key_id: Any, keys: Sequence[jwk.Key]) -> jwk.Key:
    """The key with this id; without an id the only key. Raises `KeyNotFound`, `ProviderFailure`."""
    if key_id is None:
        if len(keys) == 1:
            return keys[0]
        raise _bad("the token does not name its key, and the provider does not have exactly one for the algorithm")
    found = [key for key in keys if key.kid == key_id]
    if not found:
        raise KeyNotFound
    return found[0]


def _fits(key: jwk.Key, algorithm: str) -> bool:
    declared: Any = key.as_dict(private=False).get("alg")
    return key.key_type == _KEY_TYPES[algorithm] and declared in {None, algorithm, "Ed25519"}


def _import(member: dict[str, Any]) -> jwk.Key | None:
    if member.get("kty") not in _KEY_TYPES.values() or member.get("use", "sig") != "sig":
        return None
    names = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
    public = {name: member[name] for name in names if isinstance(member.get(name), str)}
    try:
        key = jwk.import_key(public)
        if isinstance(key, jwk.RSAKey) and not _MIN_RSA_BITS <= key.public_key.key_size <= _MAX_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _bad(description: str) -> ProviderFailure:
    return ProviderFailure(ProviderProblem.BAD_ID_TOKEN, description)
