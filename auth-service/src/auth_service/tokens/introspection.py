"""POST /oauth2/introspect: whether a token is active, and its claims (RFC 7662)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client
from auth_service.clients.credentials import CLIENT_PARAMETERS
from auth_service.errors import InvalidClient
from auth_service.http.application import new_router
from auth_service.http.dependencies import FormBody, context_of
from auth_service.http.forms import Form
from auth_service.http.openapi import CLIENT_AUTHENTICATION, ERROR_RESPONSES, json_result
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import json_response
from auth_service.paths import INTROSPECTION_PATH
from auth_service.scopes import format_scope
from auth_service.tokens.grant_permissions import GrantPermissionsReader
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, IssuedTokenVerifier, audiences_of
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.resources import is_same_resource
from auth_service.tokens.revoked_tokens import RevokedTokens

__all__ = ["TOKEN_PARAMETERS", "IntrospectionEndpoint"]

TOKEN_PARAMETERS = ParameterTable(
    Parameter("token", "The access token or refresh token.", required=True),
    Parameter("token_type_hint", "Accepted and not used: the two kinds of token have different formats."),
    *CLIENT_PARAMETERS,
)
"""The parameters of introspection and revocation (RFC 7662 section 2.1, RFC 7009 section 2.1)."""

_INACTIVE: Mapping[str, Any] = {"active": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionEndpoint:
    """A client can introspect its own tokens; a client that the operator declared also those for its resources.

    Any other token is reported as inactive, without a reason, so that the response does not help to guess tokens (RFC
    7662 section 2.2).
    """

    authenticator: ClientAuthenticator
    verifier: IssuedTokenVerifier
    revoked: RevokedTokens
    refresh_tokens: RefreshTokens
    permissions: GrantPermissionsReader
    issuer: str

    def make_router(self) -> APIRouter:
        router = new_router("tokens")
        router.add_api_route(
            INTROSPECTION_PATH,
            self.respond,
            methods=["POST"],
            operation_id="introspect",
            summary="Whether a token is active (RFC 7662)",
            responses={
                **ERROR_RESPONSES,
                **json_result("RFC 7662 section 2.2", required=("active",), properties={"active": {"type": "boolean"}}),
            },
            openapi_extra={**TOKEN_PARAMETERS.as_form(), **CLIENT_AUTHENTICATION},
        )
        return router

    async def respond(self, request: Request, form: Annotated[Form, Depends(FormBody(TOKEN_PARAMETERS))]) -> Response:
        """The claims of the token, or `{"active": false}`. Raises `InvalidClient`, `InvalidRequest`."""
        source = context_of(request)
        client = await self.authenticator.authenticate(form, source)
        if client.is_public:
            raise InvalidClient("introspection needs a client that authenticates itself")
        token = form.require("token")
        claims = await self._access_token_claims(token, client)
        if claims is None:
            claims = await self._refresh_token_claims(token, client)
        return json_response(claims)

    async def _access_token_claims(self, token: str, client: Client) -> Mapping[str, Any] | None:
        """The claims (RFC 9068 section 5), or None if it is not an access token that the client can introspect."""
        claims = self.verifier.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is None or not _can_introspect(client, claims) or await self.revoked.is_revoked(claims):
            return None
        return {"active": True, "token_type": "Bearer", **claims}

    async def _refresh_token_claims(self, token: str, client: Client) -> Mapping[str, Any]:
        """The claims of a refresh token that this client could still use, or `{"active": false}`."""
        presented = await self.refresh_tokens.read(token)
        if presented is None or presented.family.grant.client_id != client.client_id:
            return _INACTIVE
        grant = presented.family.grant
        if not presented.is_current or await self.permissions.read(grant) is None:
            return _INACTIVE
        return {
            "active": True,
            "iss": self.issuer,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": format_scope(grant.scopes),
            "aud": grant.resource,
            "exp": presented.family.expires_at_seconds,
        }


def _can_introspect(client: Client, claims: Mapping[str, Any]) -> bool:
    if claims["client_id"] == client.client_id:
        return True
    if not client.is_from_operator:
        return False
    audiences = audiences_of(claims)
    return not client.resources or any(is_same_resource(own, each) for own in client.resources for each in audiences)
