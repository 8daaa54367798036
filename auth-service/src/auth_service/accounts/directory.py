"""The accounts of all users, with the roles and scopes that their identity providers give them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from auth_service.accounts.account import Account
from auth_service.accounts.claim_rules import ClaimGrants, apply_rules, may_sign_in
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.local_accounts import LocalAccounts
from auth_service.declared_providers import DeclaredProvider
from auth_service.scopes import Role, Scope

__all__ = ["Accounts", "with_claim_grants"]


class Accounts:
    """Implements `AccountDirectory`: local accounts, and those of the declared identity providers.

    The rules are applied to the stored claims at each use, so that a change of auth.yaml applies to everyone at once.
    Stored claims are lists of at most 1,000 texts (`select_claims`), so reading them raises nothing.
    """

    def __init__(self, local: LocalAccounts, identities: Identities, providers: Mapping[str, DeclaredProvider]) -> None:
        self._local = local
        self._identities = identities
        self._providers = providers

    async def find(self, subject: str, provider: str | None = None) -> Account | None:
        account = await self._local.find(subject)
        if account is None or (provider is None and not self._local.may_use_password(account)):
            return None
        identities = await self._identities.of_account(subject)
        if provider is None and account.provider is None:
            # A password is not a way around the provider of a linked account.
            return None if any(each.was_ended_by_provider for each in identities) else account
        usable = [each for each in identities if provider in {None, each.provider} and self._is_usable(each)]
        if not usable:
            return None
        grants = [apply_rules(each.claims, self._providers[each.provider].rules) for each in usable]
        return with_claim_grants(account, grants)

    def _is_usable(self, identity: Identity) -> bool:
        """Whether the provider is declared, still lets the user sign in, and need not be asked again."""
        provider = self._providers.get(identity.provider)
        if provider is None or identity.must_sign_in or identity.is_deleted or identity.is_inactive:
            return False
        if identity.issuer not in {provider.resolved_issuer, provider.was_issuer}:
            return False
        return provider.requirements <= identity.requirements and may_sign_in(identity.claims, provider)


def with_claim_grants(account: Account, grants: Sequence[ClaimGrants]) -> Account:
    """The account with the roles and the scope limit that the rules of its identity providers give together."""
    scopes = frozenset[str]().union(*(each.scopes for each in grants))
    if Role.AUDITOR in account.roles:  # by `auth-service user role`
        scopes |= {Scope.MCP_AUDIT}
    roles = account.roles.union(*(each.roles for each in grants))
    return replace(account, roles=roles, scope_limit=scopes)
