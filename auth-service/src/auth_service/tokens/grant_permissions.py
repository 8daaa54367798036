"""Whether an authorization grant is still valid: the user may be gone or signed out, or the consent withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import Consents, grantable_scopes
from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.clients.client import Client
from auth_service.errors import AccessDenied, InvalidGrant
from auth_service.scopes import Scope
from auth_service.token_status.revocations import StatusRevocations
from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["GRANT_ENDED", "GrantPermissions", "GrantPermissionsReader"]

GRANT_ENDED = "the user was deleted, disabled or signed out, or has withdrawn the consent"


@dataclass(frozen=True, slots=True)
class GrantPermissions:
    """The user of a valid grant, and the scopes that the user allows this client at this resource."""

    account: Account
    allowed_scopes: frozenset[str]

    def restrict(self, scopes: Sequence[str], client: Client) -> tuple[str, ...]:
        """Those of the scopes that the client may have and the user may still grant.

        Raises `InvalidScope` if none remain, `InvalidGrant` if the user's identity provider allows none.
        """
        available = self.allowed_scopes & client.scopes
        try:
            return grantable_scopes([scope for scope in scopes if scope in available], self.account)
        except AccessDenied as error:
            raise InvalidGrant("the user's identity provider no longer allows any of the scopes") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPermissionsReader:
    """The rule for every use of a code or refresh token: the token endpoint and introspection share it."""

    accounts: AccountDirectory
    consents: Consents
    provider_logouts: ProviderLogouts
    statuses: StatusRevocations

    async def read(self, grant: AuthorizationGrant) -> GrantPermissions | None:
        """The permissions, or None if the grant is not valid any more. Raises `RedisError` if Redis is unavailable.

        It is not valid if the account was deleted or disabled, if the user was signed out after the sign-in behind the
        grant here or at the identity provider, if the consent was withdrawn, or if the status of the grant was revoked.
        Its refresh tokens were deleted then, but a Redis that was restored from a backup can have them again.
        """
        if grant.status is not None and await self.statuses.is_revoked(grant.status):
            return None
        account = await self.accounts.find(grant.subject, grant.provider)
        if account is None or grant.signed_in_at_seconds < account.signed_out_at_seconds:
            return None
        signed_out_at_provider = await self.provider_logouts.has_ended(
            provider=grant.provider,
            account=grant.subject,
            session_id=grant.provider_session,
            signed_in_at_seconds=grant.signed_in_at_seconds,
            has_offline_access=Scope.OFFLINE_ACCESS in grant.scopes,
        )
        if signed_out_at_provider:
            return None
        allowed_scopes = await self.consents.scopes(grant.subject, grant.client_id, grant.resource)
        return GrantPermissions(account, allowed_scopes) if allowed_scopes else None
