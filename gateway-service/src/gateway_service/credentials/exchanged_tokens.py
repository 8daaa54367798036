"""Tokens for the callers, by token exchange (RFC 8693): they name the caller, and the gateway that acts for the caller.

The requests of the gateway itself, such as those for lists of tools, have no caller. They get a token for the gateway
(client_credentials), so the client needs both grants.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway_service.credentials.credential import InboundToken, require_inbound_token
from gateway_service.credentials.own_tokens import OwnTokenCredential, bearer_header, target_fields, token_of
from gateway_service.credentials.token_cache import TokenCache
from gateway_service.credentials.token_client import IssuedToken, TokenClient
from gateway_service.declaration import TokenTarget

__all__ = ["ExchangedTokenCredential"]

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name, not a password
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the issuer's decision depends on: with the same values, the same token can be used again.

    Client and audience are included, because consents and rules for exchanges are for one client and resource.
    """

    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scopes: frozenset[str]

    @classmethod
    def of(cls, inbound: InboundToken) -> "_Subject":
        claims = inbound.claims
        return cls(claims.issuer, claims.subject, claims.client_id, claims.audience, claims.scopes)


class ExchangedTokenCredential:
    """Exchanges the access token of each caller. An exchanged token is used for this caller only."""

    def __init__(self, client: TokenClient, target: TokenTarget) -> None:
        self._client = client
        self._form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            **target_fields(target),
        }
        self._tokens = TokenCache[_Subject]()
        self._own = OwnTokenCredential(client, target)

    async def headers(self, owner: str) -> Mapping[str, str]:
        """The header with the token for this caller."""
        if not owner:
            return await self._own.headers(owner)
        inbound = require_inbound_token(owner)

        async def exchange() -> IssuedToken:
            issued = await self._client.request({**self._form, "subject_token": inbound.token})
            left_seconds = inbound.claims.expires_at_seconds - time.time()
            return replace(issued, lifetime_seconds=min(issued.lifetime_seconds, left_seconds))

        return bearer_header(await self._tokens.get(_Subject.of(inbound), exchange))

    async def renew(self, owner: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        """The header with another token for this caller; None if the one before was refused a moment ago."""
        if not owner:
            return await self._own.renew(owner, refused)
        if not self._tokens.discard(_Subject.of(require_inbound_token(owner)), token_of(refused)):
            return None
        return await self.headers(owner)

    async def close(self) -> None:
        """Ends the requests that are in progress."""
        await self._tokens.close()
        await self._own.close()
