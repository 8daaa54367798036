"""The tokens of a user's grant: what both the code and the refresh grant give."""

from dataclasses import dataclass

from auth_service.authorize.codes import UserGrant
from auth_service.clients.model import Client
from auth_service.errors import InvalidTarget
from auth_service.grants.contract import TokenAnswer, TokenRequest
from auth_service.tokens.id_tokens import IdTokens, SignInFacts
from auth_service.tokens.minter import TokenMinter
from auth_service.tokens.resources import Resources, is_same_resource
from auth_service.vocabulary import Scope

__all__ = ["UserTokens", "check_resource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTokens:
    """Mints the answer for a grant; which refresh token goes with it, the caller knows."""

    resources: Resources
    minter: TokenMinter
    id_tokens: IdTokens

    async def mint(
        self,
        grant: UserGrant,
        client: Client,
        *,
        scopes: tuple[str, ...],
        refresh_token: str | None,
        nonce: str | None = None,
    ) -> TokenAnswer:
        """Raises `InvalidTarget` when the resource is no longer declared."""
        resource = self.resources.resolve((grant.resource,), client)
        access_token = await self.minter.mint(
            client=client, subject=grant.subject, scopes=scopes, resource=resource, family=grant.family
        )
        return TokenAnswer(
            access_token=access_token,
            expires_in_seconds=self.minter.lifetime_seconds,
            scopes=scopes,
            subject=grant.subject,
            refresh_token=refresh_token,
            id_token=await self._mint_id_token(grant, scopes, nonce),
        )

    async def _mint_id_token(self, grant: UserGrant, scopes: tuple[str, ...], nonce: str | None) -> str | None:
        if Scope.OPENID not in scopes:
            return None
        facts = SignInFacts(
            subject=grant.subject, signed_in_at_seconds=grant.signed_in_at_seconds, methods=grant.methods
        )
        return await self.id_tokens.mint(facts, client_id=grant.client_id, nonce=nonce)


def check_resource(grant: UserGrant, request: TokenRequest) -> None:
    """A token request may repeat the resource of the grant, and name no other (RFC 8707 section 2.2)."""
    if not all(is_same_resource(each, grant.resource) for each in request.resources):
        raise InvalidTarget(f"the resource is not the one that was granted; send {grant.resource}")
