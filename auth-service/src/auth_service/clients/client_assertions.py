"""Client assertions, `private_key_jwt`: a JWT signed with the client's own key, good once (RFC 7523 section 3)."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any, TypeGuard

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import GuestProtocol, Key, KeySet
from redis.asyncio import Redis

from auth_service.clients.client import Client
from auth_service.clients.client_keys import ClientKeys
from auth_service.clients.client_metadata import MAX_KEYS
from auth_service.protocol import Clock

__all__ = ["ASSERTION_ALGORITHMS", "ASSERTION_RULES", "AssertionVerifier"]

ASSERTION_ALGORITHMS = ("RS256", "ES256", "EdDSA")

# An assertion is remembered until it expires: a far expiry would let clients fill the memory.
_LONGEST_LIFE_SECONDS = 600
_LEEWAY_SECONDS = 30
_PREFIX = "auth:assertion:"
_DECOY_KEYS = json.loads(files("auth_service.clients").joinpath("decoy_keys.json").read_bytes())
"""Public keys, one for each algorithm, whose private halves were thrown away: nobody can sign for a stranger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """Claims whose signature is right, and what they must agree with."""

    claims: Mapping[str, Any] = field(repr=False)
    client_id: str
    audiences: frozenset[str]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionVerifier:
    """Checks assertions and spends them. `audiences` are the ways this server may be named in `aud`."""

    audiences: frozenset[str]
    redis: Redis
    keys: ClientKeys
    clock: Clock

    async def verify(self, client: Client | None, encoded: str, *, source_address: str) -> bool:
        """Whether it proves that the request is from this client. A right one is right once.

        Keys are fetched out of the budget of `source_address`, where the request came from.

        Whoever has no keys, or does not exist, costs as many signatures: time does not tell (RFC 6749 section 10.10).
        """
        claims = None
        for renew in (False, True):  # the client may have changed its keys since we looked
            published = None
            if client is not None and claims is None:
                published = await self.keys.find(client, source_address=source_address, renew=renew)
            claims = claims or _read_claims(encoded, published)
        if client is None or claims is None:
            return False
        assertion = Assertion(claims=claims, client_id=client.client_id, audiences=self.audiences, now=self.clock())
        return all(rule(assertion) for rule in ASSERTION_RULES) and await self._spend(assertion)

    async def _spend(self, assertion: Assertion) -> bool:
        """True the first time; atomic over all replicas."""
        life_seconds = math.ceil(assertion.claims["exp"] - assertion.now) + _LEEWAY_SECONDS + 1
        key = f"{_PREFIX}{assertion.client_id}:{assertion.claims['jti']}"
        return bool(await self.redis.set(key, "1", nx=True, ex=life_seconds))


def _read_claims(encoded: str, published: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The claims when one of the published keys signed them; without any, as much work and None."""
    try:
        keys = KeySet.import_key_set({"keys": list((published or _DECOY_KEYS)["keys"])[:MAX_KEYS]})
        key = keys if published else partial(_pick_by_algorithm, keys)
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA to Ed25519; clients go on saying EdDSA.
            warnings.simplefilter("ignore", SecurityWarning)
            claims = jwt.decode(encoded, key, algorithms=list(ASSERTION_ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return claims if published else None


def _pick_by_algorithm(keys: KeySet, token: GuestProtocol) -> Key:
    """Whatever key id the token names. Raises KeyError for an algorithm that has none."""
    return {"RS256": keys.keys[0], "ES256": keys.keys[1], "EdDSA": keys.keys[2]}[token.headers()["alg"]]


def names_one_client(assertion: Assertion) -> bool:
    return assertion.claims.get("iss") == assertion.claims.get("sub") == assertion.client_id


def is_for_this_server(assertion: Assertion) -> bool:
    """One audience as a string: an array could name another server that then replays it here."""
    audience = assertion.claims.get("aud")
    return isinstance(audience, str) and audience in assertion.audiences


def is_within_its_life(assertion: Assertion) -> bool:
    expires = assertion.claims.get("exp")
    if not _is_time(expires):
        return False
    return -_LEEWAY_SECONDS < expires - assertion.now <= _LONGEST_LIFE_SECONDS


def has_begun(assertion: Assertion) -> bool:
    begins = [assertion.claims[name] for name in ("nbf", "iat") if name in assertion.claims]
    return all(_is_time(begin) and begin <= assertion.now + _LEEWAY_SECONDS for begin in begins)


def has_an_id(assertion: Assertion) -> bool:
    token_id = assertion.claims.get("jti")
    return isinstance(token_id, str) and 0 < len(token_id) <= 256


ASSERTION_RULES: tuple[Callable[[Assertion], bool], ...] = (
    names_one_client,
    is_for_this_server,
    is_within_its_life,
    has_begun,
    has_an_id,
)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
