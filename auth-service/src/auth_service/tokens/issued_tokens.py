"""Access tokens as RFC 9068 has them, signed with the active key.

ID tokens: what a client learns about the sign-in itself (OpenID Connect Core section 2).

Tokens of our own that come back: at userinfo, introspection, revocation and logout.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from auth_service.clients.client import Client
from auth_service.protocol import DEFAULT_SIGNING_ALGORITHM, Clock, RandomBytes
from auth_service.scopes import Scope, format_scope
from auth_service.tokens.resources import Resource

__all__ = [
    "ID_TOKEN_TYPE",
    "AccessTokenMinter",
    "IdTokenMinter",
    "IssuedTokenVerifier",
    "SignInFacts",
    "Signer",
    "userinfo_audience",
]


class Signer(Protocol):
    """Signs with the active key; `keys.SigningKeySet` is it."""

    async def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """A compact RS256 JWS with `kid` and this `typ` (`at+jwt`, `JWT`). Raises `TemporarilyUnavailable`."""
        ...


def userinfo_audience(issuer: str) -> str:
    """The name of the userinfo endpoint as a resource: it accepts tokens for itself only (RFC 9068 section 4)."""
    return f"{issuer}/oauth2/userinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenMinter:
    """Makes access tokens; nothing is stored, so a token costs one signature and no write."""

    issuer: str
    signer: Signer
    clock: Clock
    random_bytes: RandomBytes
    lifetime_seconds: int

    async def mint(
        self, *, client: Client, subject: str, scopes: tuple[str, ...], resource: Resource, family: str | None = None
    ) -> str:
        """A token for `resource` and the client's extra audiences; one with the scope `openid` is for userinfo too.

        `family` names the user's grant the token came from: it leads the `jti`, so that revoking the family denies
        all its tokens by one entry (`tokens.denials`), without a list of them.
        """
        now = int(self.clock())
        random_part = urlsafe_b64encode(self.random_bytes(16)).rstrip(b"=").decode("ascii")
        token_id = f"{family}.{random_part}" if family else random_part
        userinfo = (userinfo_audience(self.issuer),) if Scope.OPENID in scopes else ()
        audience = (resource.url, *client.extra_audiences, *userinfo)
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "client_id": client.client_id,
            "scope": format_scope(scopes),
            "iat": now,
            "exp": now + self.lifetime_seconds,
            "jti": token_id,
        }
        return await self.signer.sign(claims, token_type="at+jwt")


# Another type than access tokens have, so that neither passes for the other (RFC 8725 section 3.11).
ID_TOKEN_TYPE = "JWT"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFacts:
    """Who signed in, when (seconds since the epoch) and how (`amr`, RFC 8176)."""

    subject: str
    signed_in_at_seconds: int
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenMinter:
    """Mints ID tokens. Names and addresses are not in them: userinfo gives those to who may have them."""

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
            "auth_time": facts.signed_in_at_seconds,
            "amr": list(facts.methods),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return await self.signer.sign(claims, token_type=ID_TOKEN_TYPE)


_LONGEST_TOKEN = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokenVerifier:
    """Verifies what this server signed. `published` gives the keys of the moment."""

    issuer: str
    published: Callable[[], KeySet]
    clock: Clock

    def read(self, token: str, *, token_type: str, expired_too: bool = False) -> Mapping[str, Any] | None:
        """The claims, or None when we did not sign it, it is no `token_type` (the `typ` header), or its time is over.

        Whether it was revoked is `RevokedTokens.is_revoked`'s to say.
        """
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            decoded = jwt.decode(token, self.published(), algorithms=[DEFAULT_SIGNING_ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        claims: Mapping[str, Any] = decoded.claims
        if decoded.header.get("typ") != token_type or claims.get("iss") != self.issuer:
            return None
        return claims if expired_too or claims["exp"] > self.clock() else None
