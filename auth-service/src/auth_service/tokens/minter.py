"""Access tokens as RFC 9068 has them, signed with the active key."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from auth_service.clients.model import Client
from auth_service.tokens.resources import Resource
from auth_service.vocabulary import Clock, RandomBytes, Scope, format_scope

__all__ = ["Signer", "TokenMinter", "userinfo_audience"]


class Signer(Protocol):
    """Signs with the active key; `keys.KeyRing` is it."""

    async def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """A compact RS256 JWS with `kid` and this `typ` (`at+jwt`, `JWT`). Raises `TemporarilyUnavailable`."""
        ...


def userinfo_audience(issuer: str) -> str:
    """The name of the userinfo endpoint as a resource: it accepts tokens for itself only (RFC 9068 section 4)."""
    return f"{issuer}/oauth2/userinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMinter:
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
