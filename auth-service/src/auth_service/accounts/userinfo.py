"""/oauth2/userinfo: what a client may know of the person (OpenID Connect Core section 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.errors import InsufficientScope, InvalidToken
from auth_service.http.answers import json_answer
from auth_service.http.messages import PAGE, Answer, Endpoint, HttpRequest
from auth_service.scopes import Scope
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, IssuedTokenVerifier
from auth_service.tokens.revoked_tokens import RevokedTokens

__all__ = ["UserinfoEndpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserinfoEndpoint:
    """Answers to an access token that is for this endpoint: RFC 9068 section 4 lets a resource accept no other.

    A token with the scope `openid` names the endpoint in `aud`, beside the resource that the client asked for.
    """

    audience: str
    tokens: IssuedTokenVerifier
    revoked: RevokedTokens
    accounts: AccountDirectory

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/userinfo",
            handler=self.answer,
            methods=PAGE,
            cross_origin=True,
            metadata={"userinfo_endpoint": "/oauth2/userinfo"},
        )

    async def answer(self, http: HttpRequest) -> Answer:
        """The claims. Raises `InvalidToken`, `InsufficientScope`."""
        claims = self.tokens.verify(_bearer_token(http), token_type=ACCESS_TOKEN_TYPE)
        if claims is None or await self.revoked.is_revoked(claims["jti"]):
            raise InvalidToken("the access token is not valid here")
        scopes = claims["scope"].split(" ")
        if Scope.OPENID not in scopes:
            raise InsufficientScope("the access token lacks the scope openid")
        audience: str | list[str] = claims["aud"]
        if self.audience not in ([audience] if isinstance(audience, str) else audience):
            raise InvalidToken("the access token is for another resource")
        account = await self.accounts.find(claims["sub"])
        if account is None:
            raise InvalidToken("the account is gone")
        return json_answer(_claims(account, scopes))


def _bearer_token(http: HttpRequest) -> str:
    scheme, _, token = (http.header("authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or len(http.headers("authorization")) != 1:
        raise InvalidToken("an access token is needed in the Authorization header")
    return token.strip()


def _claims(account: Account, scopes: list[str]) -> Mapping[str, Any]:
    claims: dict[str, Any] = {"sub": account.subject}
    if Scope.PROFILE in scopes:
        claims |= {"name": account.name, "preferred_username": account.username}
    if Scope.EMAIL in scopes and account.email is not None:
        # The operator wrote it down; nobody proved that mail sent there arrives.
        claims |= {"email": account.email, "email_verified": False}
    return claims
