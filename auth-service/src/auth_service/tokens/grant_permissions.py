"""Whether an authorization grant is still valid: the user may be gone or signed out, or the consent withdrawn."""

from dataclasses import dataclass

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import Consents
from auth_service.tokens.authorization_grant import AuthorizationGrant

__all__ = ["GrantPermissions", "GrantPermissionsReader"]


@dataclass(frozen=True, slots=True)
class GrantPermissions:
    """The user of a valid grant, and the scopes that the user allows this client at this resource."""

    account: Account
    allowed_scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPermissionsReader:
    """The rule for every use of a refresh token: the token endpoint and introspection share it."""

    accounts: AccountDirectory
    consents: Consents

    async def read(self, grant: AuthorizationGrant) -> GrantPermissions | None:
        """The permissions, or None if the grant is not valid any more. Raises `RedisError` if Redis is unavailable.

        It is not valid if the account was deleted or disabled, if the user was signed out after the sign-in behind the
        grant, or if the consent was withdrawn.
        """
        account = await self.accounts.find(grant.subject, grant.provider)
        if account is None or grant.signed_in_at_seconds < account.signed_out_at_seconds:
            return None
        allowed_scopes = await self.consents.scopes(grant.subject, grant.client_id, grant.resource)
        return GrantPermissions(account, allowed_scopes) if allowed_scopes else None
