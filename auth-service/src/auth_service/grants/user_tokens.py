"""The tokens of an authorization grant, as the grants authorization_code and refresh_token issue them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_service.clients.client import Client
from auth_service.errors import InvalidTarget
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.scopes import Scope
from auth_service.token_status.status_indices import StatusReference
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.grant_providers import GrantProviders
from auth_service.tokens.issued_tokens import AccessTokenMinter, IdTokenMinter, SignInFacts
from auth_service.tokens.resources import Resources, is_same_resource

__all__ = ["UserTokenMinter", "check_resource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTokenMinter:
    """Mints the access token and the ID token; the caller provides the refresh token."""

    resources: Resources
    minter: AccessTokenMinter
    id_tokens: IdTokenMinter
    providers: GrantProviders

    async def mint(
        self,
        grant: AuthorizationGrant,
        client: Client,
        *,
        scopes: tuple[str, ...],
        status: StatusReference,
        refresh_token: str | None,
        nonce: str | None = None,
        actor: Mapping[str, Any] | None = None,
    ) -> TokenResponse:
        """The token response. `actor` acts for the user, if an assertion says so.

        Raises `InvalidTarget` if the resource is no longer declared.
        """
        resource = self.resources.resolve((grant.resource,), client)
        await self.providers.remember(grant)
        access_token = await self.minter.mint(
            client=client,
            subject=grant.subject,
            scopes=scopes,
            resource=resource,
            status=status,
            family_id=grant.family_id,
            actor=actor,
        )
        return TokenResponse(
            access_token=access_token,
            expires_in_seconds=self.minter.lifetime_seconds,
            scopes=scopes,
            subject=grant.subject,
            actor=actor["sub"] if actor is not None else None,
            refresh_token=refresh_token,
            id_token=await self._mint_id_token(grant, scopes, nonce),
        )

    async def _mint_id_token(self, grant: AuthorizationGrant, scopes: tuple[str, ...], nonce: str | None) -> str | None:
        if Scope.OPENID not in scopes:
            return None
        facts = SignInFacts(
            subject=grant.subject, authenticated_at_seconds=_authenticated_at_seconds(grant), methods=grant.methods
        )
        return await self.id_tokens.mint(facts, client_id=grant.client_id, nonce=nonce)


def check_resource(grant: AuthorizationGrant, request: TokenRequest) -> None:
    """A token request may repeat the resource of the grant, but not name another (RFC 8707 section 2.2)."""
    if not all(is_same_resource(each, grant.resource) for each in request.resources):
        raise InvalidTarget(f"the resource is not the one that was granted; send {grant.resource}")


def _authenticated_at_seconds(grant: AuthorizationGrant) -> int | None:
    """A grant that was stored before this member existed has only the time of a sign-in with a password."""
    if grant.authenticated_at_seconds is None and grant.provider is None:
        return grant.signed_in_at_seconds
    return grant.authenticated_at_seconds
