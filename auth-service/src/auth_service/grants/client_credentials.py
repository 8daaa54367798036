"""A client acts for itself (RFC 6749 section 4.4): no user, no refresh token, nothing stored."""

from auth_service.errors import InvalidScope
from auth_service.grants.contract import TokenAnswer, TokenRequest
from auth_service.tokens.minter import TokenMinter
from auth_service.tokens.resources import Resources
from auth_service.vocabulary import IDENTITY_SCOPES, GrantType

__all__ = ["ClientCredentials"]


class ClientCredentials:
    """The grant of services and agents."""

    grant_type = GrantType.CLIENT_CREDENTIALS
    parameters: frozenset[str] = frozenset()

    def __init__(self, *, resources: Resources, minter: TokenMinter) -> None:
        self._resources = resources
        self._minter = minter

    async def exchange(self, request: TokenRequest) -> TokenAnswer:
        client = request.client
        resource = self._resources.resolve(request.resources, client)
        scopes = client.default_scopes if request.scopes is None else request.scopes
        _check_scopes(scopes, client.scopes & resource.scopes.keys())
        minted = await self._minter.mint(client=client, subject=client.client_id, scopes=scopes, resource=resource)
        return TokenAnswer(
            access_token=minted.token,
            expires_in_seconds=minted.expires_in_seconds,
            scopes=scopes,
            subject=client.client_id,
            token_id=minted.token_id,
        )


def _check_scopes(scopes: tuple[str, ...], allowed: frozenset[str]) -> None:
    """Refuses rather than narrows: nobody is there to be asked, so a surplus scope is a mistake in the client."""
    if IDENTITY_SCOPES & set(scopes):
        raise InvalidScope("openid, profile, email and offline_access need a user: use authorization_code")
    if not set(scopes) <= allowed:
        raise InvalidScope("the client may not have one of these scopes for this resource")
