"""Tokens of our own that come back: at userinfo, introspection, revocation and logout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from auth_service.vocabulary import DEFAULT_SIGNING_ALGORITHM, Clock

__all__ = ["TokenReader"]

_LONGEST_TOKEN = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReader:
    """Verifies what this server signed. `published` gives the keys of the moment."""

    issuer: str
    published: Callable[[], KeySet]
    clock: Clock

    def read(self, token: str, *, token_type: str, expired_too: bool = False) -> Mapping[str, Any] | None:
        """The claims, or None when we did not sign it, it is no `token_type` (the `typ` header), or its time is over.

        Whether it was revoked is `Denials.is_denied`'s to say.
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
