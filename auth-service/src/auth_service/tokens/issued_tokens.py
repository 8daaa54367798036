"""The JWTs of this server: access tokens (RFC 9068), ID tokens (OpenID Connect Core section 2), and their verification.

Each kind has its own `typ`, so that one is never accepted as the other (RFC 8725 section 3.11).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from auth_service.clients.client import Client
from auth_service.paths import USERINFO_PATH
from auth_service.protocol import SIGNING_ALGORITHM, Clock, RandomBytes, base64url
from auth_service.scopes import Scope, format_scope
from auth_service.token_status.status_indices import StatusReference, status_list_uri
from auth_service.tokens.resources import Resource
from auth_service.tokens.revoked_tokens import family_of

__all__ = [
    "ACCESS_TOKEN_TYPE",
    "ACTOR_CLAIM",
    "ID_TOKEN_TYPE",
    "MAX_ACTORS",
    "AccessTokenMinter",
    "IdTokenMinter",
    "IssuedTokenVerifier",
    "SignInFacts",
    "Signer",
    "audiences_of",
    "userinfo_audience",
]

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"

ACTOR_CLAIM = "act"
"""The claim with the client that acts for the subject (RFC 8693 section 4.1)."""

MAX_ACTORS = 4
"""How many clients may act for one another: the depth of `act` in a token."""

_MAX_TOKEN_LENGTH = 8 * 1024


class Signer(Protocol):
    """Signs with the active key; implemented by `keys.signing_key_set.SigningKeySet`."""

    async def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """A compact RS256 JWS with `kid` and this `typ`. Raises `TemporarilyUnavailable`."""
        ...


def userinfo_audience(issuer: str) -> str:
    """The userinfo endpoint as an audience: it accepts only tokens that name it (RFC 9068 section 4)."""
    return f"{issuer}{USERINFO_PATH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenMinter:
    """Makes access tokens. They are not stored: making one needs one signature and no access to Redis."""

    issuer: str
    signer: Signer
    clock: Clock
    random_bytes: RandomBytes
    lifetime_seconds: int

    async def mint(
        self,
        *,
        client: Client,
        subject: str,
        scopes: tuple[str, ...],
        resource: Resource,
        status: StatusReference,
        family_id: str | None = None,
        actor: Mapping[str, Any] | None = None,
    ) -> str:
        """A token for `resource` and the client's extra audiences; with the scope `openid`, for userinfo as well.

        `family_id` is the id of the authorization grant. The `jti` begins with it, so that one entry in `RevokedTokens`
        revokes all access tokens of the grant. `status` is the index of the grant, or of a client that acts for itself,
        at which resource servers find the same revocation. `actor` acts for the user, if an assertion says so.
        """
        now = int(self.clock())
        userinfo = (userinfo_audience(self.issuer),) if Scope.OPENID in scopes else ()
        audience = (resource.url, *client.extra_audiences, *userinfo)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "client_id": client.client_id,
            "scope": format_scope(scopes),
            "iat": now,
            "exp": now + self.lifetime_seconds,
            "jti": self._make_token_id(family_id),
            "status": {"status_list": {"idx": status.index, "uri": status_list_uri(self.issuer, status.list_id)}},
        }
        if actor is not None:
            claims[ACTOR_CLAIM] = actor
        return await self.signer.sign(claims, token_type=ACCESS_TOKEN_TYPE)

    async def mint_exchanged(
        self,
        *,
        client: Client,
        exchanged: Mapping[str, Any],
        scopes: tuple[str, ...],
        resource: Resource,
        expires_at_seconds: int,
    ) -> str:
        """A token with which `client` acts for the subject of the token with the claims `exchanged` (RFC 8693 4.1).

        It has one audience. Its `jti` begins with the id of the exchanged token's family, or with the `jti` of that
        token if it has no family, and it has the same status, so that revoking the one revokes the other.
        """
        actor: dict[str, Any] = {"sub": client.client_id}
        if ACTOR_CLAIM in exchanged:
            actor[ACTOR_CLAIM] = exchanged[ACTOR_CLAIM]
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": exchanged["sub"],
            "aud": resource.url,
            "client_id": client.client_id,
            "scope": format_scope(scopes),
            "iat": int(self.clock()),
            "exp": expires_at_seconds,
            "jti": self._make_token_id(family_of(exchanged["jti"])),
            ACTOR_CLAIM: actor,
        }
        if "status" in exchanged:  # not in a token from before there were status lists
            claims["status"] = exchanged["status"]
        return await self.signer.sign(claims, token_type=ACCESS_TOKEN_TYPE)

    def _make_token_id(self, family_id: str | None) -> str:
        random_part = base64url(self.random_bytes(16))
        return f"{family_id}.{random_part}" if family_id else random_part


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFacts:
    """Who signed in, when (seconds since the epoch, None if it is not known), and how (`amr`, RFC 8176)."""

    subject: str
    authenticated_at_seconds: int | None
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenMinter:
    """Makes ID tokens. They contain no names and no e-mail addresses; userinfo returns those."""

    issuer: str
    signer: Signer
    clock: Clock
    lifetime_seconds: int

    async def mint(self, facts: SignInFacts, *, client_id: str, nonce: str | None = None) -> str:
        now = int(self.clock())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": facts.subject,
            "aud": client_id,
            "iat": now,
            "exp": now + self.lifetime_seconds,
            "amr": list(facts.methods),
        }
        if facts.authenticated_at_seconds is not None:
            claims["auth_time"] = facts.authenticated_at_seconds
        if nonce is not None:
            claims["nonce"] = nonce
        return await self.signer.sign(claims, token_type=ID_TOKEN_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokenVerifier:
    """Verifies tokens of this server that come back.

    They come to userinfo, introspection, revocation and token exchange, or as `id_token_hint`.

    `read_key_set` returns the current key set.
    """

    issuer: str
    read_key_set: Callable[[], KeySet]
    clock: Clock

    def verify(self, token: str, *, token_type: str, accept_expired: bool = False) -> Mapping[str, Any] | None:
        """The claims, or None if the signature, `typ`, issuer, expiry or length of the token is not valid.

        `RevokedTokens` is not checked here.
        """
        if len(token) > _MAX_TOKEN_LENGTH:
            return None
        try:
            decoded = jwt.decode(token, self.read_key_set(), algorithms=[SIGNING_ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        claims: Mapping[str, Any] = decoded.claims
        if decoded.header.get("typ") != token_type or claims.get("iss") != self.issuer:
            return None
        is_expired = claims["exp"] <= self.clock()
        if is_expired and not accept_expired:
            return None
        return claims

    def read_id_token_hint(self, hint: str | None) -> Mapping[str, Any] | None:
        """The claims of the ID token in the parameter `id_token_hint`, which may have expired.

        An invalid one is treated as absent: it is only a hint (OpenID Connect Core section 3.1.2.1).
        """
        return self.verify(hint, token_type=ID_TOKEN_TYPE, accept_expired=True) if hint is not None else None


def audiences_of(claims: Mapping[str, Any]) -> list[str]:
    """The audiences of a token: `aud` is a string or a list (RFC 7519 section 4.1.3)."""
    audience: str | list[str] = claims["aud"]
    return [audience] if isinstance(audience, str) else audience
