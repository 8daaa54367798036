"""The grant client_credentials: a client acts on its own behalf (RFC 6749 section 4.4). No user, no refresh token."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.errors import InvalidScope
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.http.parameters import Parameter
from auth_service.protocol import GrantType
from auth_service.scopes import IDENTITY_SCOPES
from auth_service.token_status.client_statuses import ClientStatuses
from auth_service.tokens.issued_tokens import AccessTokenMinter
from auth_service.tokens.resources import Resources

__all__ = ["SCOPE_RULES", "ClientCredentialsGrantHandler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentialsGrantHandler:
    """For services and agents. No token is stored."""

    resources: Resources
    minter: AccessTokenMinter
    statuses: ClientStatuses
    grant_type: GrantType = GrantType.CLIENT_CREDENTIALS
    parameters: tuple[Parameter, ...] = ()

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        client = request.client
        resource = self.resources.resolve(request.resources, client)
        scopes = client.default_scopes if request.scopes is None else request.scopes
        for check in SCOPE_RULES:
            check(scopes, client.scopes & resource.scopes.keys())
        access_token = await self.minter.mint(
            client=client,
            subject=client.client_id,
            scopes=scopes,
            resource=resource,
            status=await self.statuses.status_of(client.client_id),
        )
        return TokenResponse(
            access_token=access_token,
            expires_in_seconds=self.minter.lifetime_seconds,
            scopes=scopes,
            subject=client.client_id,
        )


def check_scopes(scopes: tuple[str, ...], allowed: frozenset[str]) -> None:
    """Refuses the request instead of granting fewer scopes: no user decides here, so it is a mistake of the client."""
    if not scopes:
        raise InvalidScope("the client has no default scope: name one")
    if not set(scopes) <= allowed:
        reason = "the client does not have it for this resource"
        if IDENTITY_SCOPES & set(scopes):
            reason = "scopes about a user need the grant authorization_code"
        raise InvalidScope(f"a scope cannot be granted: {reason}")


SCOPE_RULES: tuple[Callable[[tuple[str, ...], frozenset[str]], None], ...] = (check_scopes,)
