"""POST /oauth2/introspect: what a token is worth just now (RFC 7662)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client, ClientOrigin
from auth_service.errors import InvalidClient
from auth_service.http.answers import json_answer
from auth_service.http.forms import parse_form
from auth_service.http.messages import WRITE, Answer, Endpoint, HttpRequest
from auth_service.scopes import format_scope
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, IssuedTokenVerifier
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.resources import is_same_resource
from auth_service.tokens.revoked_tokens import RevokedTokens

__all__ = ["Introspection"]

_INACTIVE: Mapping[str, Any] = {"active": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """A client sees its own tokens; one that the operator declared sees those for the resources it stands for.

    Everything else is inactive, without a reason: the answer must not help to guess (RFC 7662 section 2.2).
    """

    authenticator: ClientAuthenticator
    reader: IssuedTokenVerifier
    revoked: RevokedTokens
    refresh: RefreshTokens
    issuer: str

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/introspect",
            handler=self.answer,
            methods=WRITE,
            metadata={"introspection_endpoint": "/oauth2/introspect"},
        )

    async def answer(self, request: HttpRequest) -> Answer:
        form = parse_form(request)
        client = await self.authenticator.authenticate(request, form)
        if client.is_public:
            raise InvalidClient("introspection needs a client that proves who it is")
        token = form.require("token")
        return json_answer(await self._access_token(token, client) or await self._refresh_token(token, client))

    async def _access_token(self, token: str, client: Client) -> Mapping[str, Any] | None:
        """RFC 9068 section 5: the claims, and that it is active; None when it is no access token for this client."""
        claims = self.reader.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is None or not _may_see(client, claims) or await self.revoked.is_revoked(claims["jti"]):
            return None
        return {"active": True, "token_type": "Bearer", **claims}

    async def _refresh_token(self, token: str, client: Client) -> Mapping[str, Any]:
        found = await self.refresh.look_up(token)
        if found is None or not found.is_current or found.client_id != client.client_id:
            return _INACTIVE
        return {
            "active": True,
            "iss": self.issuer,
            "sub": found.subject,
            "client_id": found.client_id,
            "scope": format_scope(found.scopes),
            "aud": found.resource,
            "exp": found.expires_at_seconds,
        }


def _may_see(client: Client, claims: Mapping[str, Any]) -> bool:
    if claims["client_id"] == client.client_id:
        return True
    if client.origin not in {ClientOrigin.DECLARED, ClientOrigin.OPERATOR}:
        return False
    audience: str | list[str] = claims["aud"]
    named = [audience] if isinstance(audience, str) else audience
    return not client.resources or any(is_same_resource(own, each) for own in client.resources for each in named)
