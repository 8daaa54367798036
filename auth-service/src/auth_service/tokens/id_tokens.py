"""ID tokens: what a client learns about the sign-in itself (OpenID Connect Core section 2)."""

from dataclasses import dataclass
from typing import Any

from auth_service.tokens.minter import Signer
from auth_service.vocabulary import Clock

__all__ = ["ID_TOKEN_TYPE", "IdTokens", "SignInFacts"]

# Another type than access tokens have, so that neither passes for the other (RFC 8725 section 3.11).
ID_TOKEN_TYPE = "JWT"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFacts:
    """Who signed in, when (seconds since the epoch) and how (`amr`, RFC 8176)."""

    subject: str
    signed_in_at_seconds: int
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokens:
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
