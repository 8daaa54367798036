"""Client assertions (`private_key_jwt`): a JWT signed with the client's own key, accepted once (RFC 7523 section 3)."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeGuard

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, KeySet
from redis.asyncio import Redis

from auth_service.clients.client import Client
from auth_service.clients.client_keys import ClientKeys
from auth_service.clients.client_metadata import MAX_KEYS
from auth_service.paths import TOKEN_PATH
from auth_service.protocol import Clock

__all__ = ["ASSERTION_ALGORITHMS", "ASSERTION_RULES", "AssertionVerifier", "assertion_audiences"]

ASSERTION_ALGORITHMS = ("RS256", "ES256", "EdDSA")

# The id of an assertion is stored until the assertion expires: later expiry times would let clients fill the memory.
_MAX_LIFETIME_SECONDS = 600
_LEEWAY_SECONDS = 30
_PREFIX = "auth:assertion:"


def assertion_audiences(issuer: str) -> frozenset[str]:
    """The values of `aud` that identify this server in an assertion (RFC 7523 section 3)."""
    return frozenset({issuer, f"{issuer}/", f"{issuer}{TOKEN_PATH}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """The claims of an assertion whose signature is valid, and what the rules compare them with."""

    claims: Mapping[str, Any] = field(repr=False)
    client_id: str
    audiences: frozenset[str]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionVerifier:
    """Verifies assertions. `audiences` are the values of `aud` that identify this server."""

    audiences: frozenset[str]
    redis: Redis
    keys: ClientKeys
    clock: Clock

    async def verify(self, client: Client | None, encoded: str, *, source_address: str) -> bool:
        """Whether the assertion proves that the request is from this client. A valid one is accepted once.

        Fetching a key set counts towards the limit of `source_address`, the address that the request came from, except
        for clients that the operator declared. A client that does not exist, or has no key for the assertion, takes
        as many signature verifications as a wrong signature, so that the response time does not reveal it (RFC 6749
        section 10.10).
        """
        claims = await self._read_claims(client, encoded, source_address)
        if client is None or claims is None:
            return False
        assertion = Assertion(claims=claims, client_id=client.client_id, audiences=self.audiences, now=self.clock())
        return all(rule(assertion) for rule in ASSERTION_RULES) and await self._mark_used(assertion)

    async def _read_claims(self, client: Client | None, encoded: str, source_address: str) -> Mapping[str, Any] | None:
        """The claims if the signature is valid, or None.

        The client may have changed its keys, so the second attempt fetches them again.
        """
        for renew in (False, True):
            client_keys = None
            if client is not None:
                client_keys = await self.keys.find(client, source_address=source_address, renew=renew)
            claims = _verify_signature(encoded, client_keys)
            if claims is not None:
                return claims
        return None

    async def _mark_used(self, assertion: Assertion) -> bool:
        """True if no replica has accepted this assertion before."""
        lifetime_seconds = math.ceil(assertion.claims["exp"] - assertion.now) + _LEEWAY_SECONDS + 1
        key = f"{_PREFIX}{assertion.client_id}:{assertion.claims['jti']}"
        return bool(await self.redis.set(key, "1", nx=True, ex=lifetime_seconds))


def _verify_signature(encoded: str, client_keys: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The claims if one of the client's keys signed them, else None.

    If the client has no key for the assertion, a key that cannot match is tried instead: the work is the same.
    """
    try:
        header = jws.extract_compact(encoded.encode()).headers()
        decoy = _decoy_keys()[header["alg"]]
        key = _find_key(client_keys, header, key_type=decoy.key_type)
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA to Ed25519; clients still send EdDSA.
            warnings.simplefilter("ignore", SecurityWarning)
            claims = jwt.decode(encoded, key or decoy, algorithms=list(ASSERTION_ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return claims if key is not None else None


def _find_key(client_keys: Mapping[str, Any] | None, header: Mapping[str, Any], *, key_type: str) -> Key | None:
    """The client's key with the key id of the assertion.

    If the assertion names none, it is the only key, or the first suitable one without a key id.
    """
    if client_keys is None:
        return None
    try:
        keys = KeySet.import_key_set({"keys": list(client_keys["keys"])[:MAX_KEYS]})
        key = keys.get_by_kid(header.get("kid"), {"alg": header["alg"]})
    except (JoseError, ValueError, TypeError):
        return None
    return key if key.key_type == key_type else None


@cache
def _decoy_keys() -> Mapping[str, Key]:
    """A public key for each algorithm whose private key was deleted: no assertion verifies with it."""
    document = json.loads(files("auth_service.clients").joinpath("decoy_keys.json").read_bytes())
    return dict(zip(ASSERTION_ALGORITHMS, KeySet.import_key_set(document).keys, strict=True))


def names_this_client(assertion: Assertion) -> bool:
    return assertion.claims.get("iss") == assertion.claims.get("sub") == assertion.client_id


def is_for_this_server(assertion: Assertion) -> bool:
    """The audience is one string: an array could name another server, which could then replay the assertion here."""
    audience = assertion.claims.get("aud")
    return isinstance(audience, str) and audience in assertion.audiences


def has_valid_expiry(assertion: Assertion) -> bool:
    expires = assertion.claims.get("exp")
    if not _is_time(expires):
        return False
    return -_LEEWAY_SECONDS < expires - assertion.now <= _MAX_LIFETIME_SECONDS


def has_started(assertion: Assertion) -> bool:
    starts = [assertion.claims[name] for name in ("nbf", "iat") if name in assertion.claims]
    return all(_is_time(start) and start <= assertion.now + _LEEWAY_SECONDS for start in starts)


def has_an_id(assertion: Assertion) -> bool:
    token_id = assertion.claims.get("jti")
    return isinstance(token_id, str) and 0 < len(token_id) <= 256


ASSERTION_RULES: tuple[Callable[[Assertion], bool], ...] = (
    names_this_client,
    is_for_this_server,
    has_valid_expiry,
    has_started,
    has_an_id,
)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
