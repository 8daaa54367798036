"""/oauth2/userinfo: claims about the user for the client that the user signed in to (OpenID Connect Core 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.errors import InsufficientScope, InvalidToken
from auth_service.http.application import new_router
from auth_service.http.dependencies import context_of
from auth_service.http.openapi import ERROR_CONTENT, ERROR_RESPONSES, json_result
from auth_service.http.responses import json_response
from auth_service.paths import USERINFO_PATH
from auth_service.scopes import Scope
from auth_service.tokens.grant_providers import GrantProviders
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, IssuedTokenVerifier, audiences_of
from auth_service.tokens.revoked_tokens import RevokedTokens, family_of

__all__ = ["UserinfoEndpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserinfoEndpoint:
    """Accepts access tokens that name this endpoint in `aud`: a resource must not accept others (RFC 9068 section 4).

    A token with the scope `openid` has the endpoint (`audience`) in `aud`, in addition to the requested resource.
    """

    audience: str
    verifier: IssuedTokenVerifier
    revoked: RevokedTokens
    accounts: AccountDirectory
    providers: GrantProviders

    def make_router(self) -> APIRouter:
        router = new_router("accounts")
        for method, operation_id in (("GET", "userinfo"), ("POST", "userinfo-post")):
            router.add_api_route(
                USERINFO_PATH,
                self.respond,
                methods=[method],
                operation_id=operation_id,
                summary="Claims about the user",
                responses={
                    **ERROR_RESPONSES,
                    403: {"description": "The token lacks the scope openid.", "content": dict(ERROR_CONTENT)},
                    **json_result("The claims", required=("sub",), properties={"sub": {"type": "string"}}),
                },
                openapi_extra={"security": [{"bearer": []}]},
            )
        return router

    async def respond(self, request: Request) -> Response:
        """The claims. Raises `InvalidToken`, `InsufficientScope`."""
        token = _bearer_token(context_of(request).headers.all(b"authorization"))
        claims = self.verifier.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is None or await self.revoked.is_revoked(claims):
            raise InvalidToken("the access token is not valid here")
        scopes = claims["scope"].split(" ")
        if Scope.OPENID not in scopes:
            raise InsufficientScope("the access token lacks the scope openid")
        if self.audience not in audiences_of(claims):
            raise InvalidToken("the access token is for another resource")
        origin = await self.providers.find(family_of(claims["jti"]))
        account = await self.accounts.find(claims["sub"], origin.provider)
        if account is None:
            raise InvalidToken("the account does not exist any more, or its user has to sign in again")
        return json_response(_claims_about(account, scopes))


def _bearer_token(authorization_headers: list[str]) -> str:
    """The token of the only Authorization header. Raises `InvalidToken`."""
    header = authorization_headers[0] if len(authorization_headers) == 1 else ""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken("send the access token in one Authorization header: Bearer, then the token")
    return token.strip()


def _claims_about(account: Account, scopes: list[str]) -> Mapping[str, Any]:
    claims: dict[str, Any] = {"sub": account.subject}
    if Scope.PROFILE in scopes:
        claims |= {"name": account.name, "preferred_username": account.username}
    if Scope.EMAIL in scopes and account.email is not None:
        # The operator entered the address; no message was sent to verify it.
        claims |= {"email": account.email, "email_verified": False}
    return claims
