"""POST /oauth2/revoke: a client revokes a token that it no longer needs (RFC 7009).

Revoking any token of a user's grant revokes all tokens of the grant: clients revoke a token when their user signs out.
Revoking a token that a client got for itself revokes all such tokens that the client has at that time, because they
have one index in a status list; tokens that it gets afterwards are valid.
An unknown token, or one of another client, is answered with 200 as well (RFC 7009 section 2.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client
from auth_service.http.application import new_router
from auth_service.http.dependencies import FormBody, context_of
from auth_service.http.forms import Form
from auth_service.http.openapi import CLIENT_AUTHENTICATION, ERROR_RESPONSES
from auth_service.http.responses import NO_STORE
from auth_service.paths import REVOCATION_PATH
from auth_service.token_status.client_statuses import ClientStatuses
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.tokens.introspection import TOKEN_PARAMETERS
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, ACTOR_CLAIM, IssuedTokenVerifier
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.revoked_tokens import RevokedTokens, family_of, status_in
from security_common.audit import Action, EventType

__all__ = ["RevocationEndpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEndpoint:
    """Revokes access tokens and refresh tokens of the client that sends the request."""

    authenticator: ClientAuthenticator
    verifier: IssuedTokenVerifier
    revoked: RevokedTokens
    refresh_tokens: RefreshTokens
    revocation: GrantRevocation
    clients: ClientStatuses
    record: AuditRecorder

    def make_router(self) -> APIRouter:
        router = new_router("tokens")
        router.add_api_route(
            REVOCATION_PATH,
            self.respond,
            methods=["POST"],
            operation_id="revoke",
            summary="Revoke a token (RFC 7009)",
            responses={**ERROR_RESPONSES, 200: {"description": "The token is not valid any more, or never was."}},
            openapi_extra={**TOKEN_PARAMETERS.as_form(), **CLIENT_AUTHENTICATION},
        )
        return router

    async def respond(self, request: Request, form: Annotated[Form, Depends(FormBody(TOKEN_PARAMETERS))]) -> Response:
        """An empty response. Raises `InvalidClient`, `InvalidRequest`."""
        source = context_of(request)
        client = await self.authenticator.authenticate(form, source)
        subject = await self._revoke(form.require("token"), client)
        if subject is not None:
            await self.record(
                source,
                event_type=EventType.TOKEN_REVOKED,
                action=Action.REVOKED,
                client_id=client.client_id,
                user_id=subject,
            )
        return Response(headers=NO_STORE)

    async def _revoke(self, token: str, client: Client) -> str | None:
        """The subject of the revoked token, or None if there was nothing to revoke."""
        claims = self.verifier.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is not None:
            if claims["client_id"] != client.client_id:
                return None
            await self._revoke_access_token(claims)
            return str(claims["sub"])
        presented = await self.refresh_tokens.read(token)
        if presented is None or presented.family.grant.client_id != client.client_id:
            return None
        grant = presented.family.grant
        await self.revocation.revoke(grant.subject, grant.family_id)
        return grant.subject

    async def _revoke_access_token(self, claims: Mapping[str, Any]) -> None:
        """The `jti` of a user's token contains the id of its family: then the family is revoked.

        The client that got a token by exchange does not have the user's grant, so it can revoke this token only.
        """
        token_id, status = claims["jti"], status_in(claims)
        if ACTOR_CLAIM in claims:
            await self.revoked.revoke(token_id)
        elif "." in token_id:
            await self.revocation.revoke(claims["sub"], family_of(token_id))
        elif status is not None:
            await self.clients.end(claims["client_id"], status)
        else:
            await self.revoked.revoke(token_id)
