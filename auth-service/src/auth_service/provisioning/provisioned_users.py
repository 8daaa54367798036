"""The users of an identity provider, as it manages them: accounts that exist before the first sign-in and end at once.

The key is (issuer, subject), as at a sign-in, so both lead to one account. The name and the address of an account are
changed only if the account was made for this provider; those of other accounts belong to their operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from auth_service.accounts.account import Account, end_sign_ins
from auth_service.accounts.consents import Consents
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.declared_providers import ScimSubject
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.protocol import Clock, RandomBytes, new_user_id
from auth_service.provisioning.scim_errors import ScimNotFound, ScimNotMutable, ScimNotUnique, ScimValueInvalid
from auth_service.provisioning.user_attributes import UserAttributes
from auth_service.tokens.grant_revocation import GrantRevocation

__all__ = ["ProvisionedUser", "ProvisionedUsers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedUser:
    """A person at a provider who has an account here."""

    identity: Identity
    account: Account

    def attributes(self, provider: IdentityProvider) -> UserAttributes:
        """What SCIM shows of the user."""
        has_external_id = provider.scim_subject is ScimSubject.EXTERNAL_ID
        return UserAttributes(
            user_name=self.account.username if has_external_id else self.identity.subject,
            external_id=self.identity.subject if has_external_id else None,
            display_name=self.account.name,
            email=self.account.email,
            active=not self.identity.is_inactive,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedUsers:
    """Finds and changes the users of a provider. Raises the errors of `scim_errors`, and `RedisError`."""

    identities: Identities
    store: AccountStore
    consents: Consents
    revocation: GrantRevocation
    clock: Clock
    random_bytes: RandomBytes

    async def load(self, provider: IdentityProvider, user_id: str) -> ProvisionedUser:
        """The user with this id. Raises `ScimNotFound`, also for a user of another provider."""
        user = await self._find_by_id(provider, user_id)
        if user is None:
            raise ScimNotFound("there is no such user")
        return user

    async def find(self, provider: IdentityProvider, values: Mapping[str, str]) -> ProvisionedUser | None:
        """The user with these values of `userName`, `externalId` and `id`; at least one is given."""
        candidates = [await self._find_by(provider, name, value) for name, value in values.items()]
        first = candidates[0]
        ids = {user.account.subject if user is not None else None for user in candidates}
        return first if len(ids) == 1 else None

    async def page(self, provider: IdentityProvider, *, offset: int, count: int) -> tuple[int, list[ProvisionedUser]]:
        """The number of users, and those from `offset` on, at most `count`, oldest first."""
        total, identities = await self.identities.page_of_provider(provider.id, offset=offset, count=count)
        found = [await self._with_account(provider, identity) for identity in identities]
        return total, [user for user in found if user is not None]

    async def add(self, provider: IdentityProvider, user: UserAttributes) -> ProvisionedUser:
        """A new account. Raises `ScimNotUnique` if the person has one, or another account has the name or address."""
        subject = _subject_of(provider, user)
        existing = await self.identities.find_at(provider.declared, subject)
        if existing is not None:
            await self._remove_deleted_identity(provider, existing)
        await self._require_unused(user)
        now = self.clock()
        identity = Identity(
            provider=provider.id,
            issuer=provider.issuer,
            subject=subject,
            account=new_user_id(self.random_bytes),
            label=user.user_name,
            linked_at_seconds=now,
            checked_at_seconds=0.0,
            must_sign_in=True,
            is_inactive=not user.active,
        )
        if not await self.identities.link(identity):  # another request was faster
            raise ScimNotUnique(_HAS_ACCOUNT)
        account = Account(
            subject=identity.account,
            username=user.user_name,
            name=user.display_name,
            email=user.email,
            created_at_seconds=now,
            provider=provider.id,
        )
        if await self.store.add(account):
            return ProvisionedUser(identity=identity, account=account)
        if await self.store.find(identity.account) is None:
            await self.identities.unlink(identity)
            raise ScimNotUnique(_NAME_TAKEN)
        return await self.load(provider, identity.account)  # the person signed in at this moment

    async def change(
        self, provider: IdentityProvider, user: ProvisionedUser, wanted: UserAttributes
    ) -> ProvisionedUser:
        """The user with these attributes; `deactivate` is a step of its own."""
        _check_subject_unchanged(provider, user, wanted)
        if user.account.provider == provider.id:
            await self._change_account(provider, user.account, wanted)
        if wanted.active and user.identity.is_inactive:
            await self.identities.change(user.identity.key, lambda stored: replace(stored, is_inactive=False))
        return await self.load(provider, user.account.subject)

    async def delete(self, provider: IdentityProvider, user: ProvisionedUser) -> None:
        """Ends the user's access, and deletes the account unless it belongs to an operator or another provider too.

        The identity is kept, so that a sign-in does not make a new account. The provider can add the user again.
        """
        await self.deactivate(user)
        await self.identities.mark_identity_deleted(user.identity, by_provider=True)
        await self._delete_account(provider, user.account)

    async def deactivate(self, user: ProvisionedUser) -> None:
        """Sign-ins are refused from the first step on; sessions and grants end at once."""
        await self.identities.change(
            user.identity.key, lambda stored: replace(stored, is_inactive=True, must_sign_in=True, refresh_token=None)
        )
        await self.store.change(user.account.subject, lambda account: end_sign_ins(account, self.clock()))
        await self.revocation.revoke_all(user.account.subject)

    async def _delete_account(self, provider: IdentityProvider, account: Account) -> None:
        """Deletes an account that was made for this provider, if no identity leads to it any more."""
        identities = await self.identities.of_account(account.subject)
        if account.provider == provider.id and all(identity.is_deleted for identity in identities):
            await self.consents.delete_all(account.subject)
            await self.store.delete(account)

    async def _change_account(self, provider: IdentityProvider, account: Account, wanted: UserAttributes) -> None:
        is_renamed = provider.scim_subject is ScimSubject.EXTERNAL_ID and wanted.user_name != account.username
        if is_renamed and not await self.store.rename(account.subject, wanted.user_name):
            raise ScimNotUnique(_NAME_TAKEN)
        if (wanted.display_name, wanted.email) != (account.name, account.email):
            await self.store.change(
                account.subject, lambda stored: replace(stored, name=wanted.display_name, email=wanted.email)
            )

    async def _remove_deleted_identity(self, provider: IdentityProvider, existing: Identity) -> None:
        """Removes the identity of a user whom the provider deleted. Raises `ScimNotUnique` otherwise."""
        if existing.is_deleted and not existing.is_deleted_by_provider:
            raise ScimNotUnique("an operator deleted the account; `auth-service user allow` permits a new one")
        account = await self.store.find(existing.account)
        is_being_added = account is None and self.clock() - existing.linked_at_seconds < _ADDING_SECONDS
        if (account is not None or is_being_added) and not existing.is_deleted:
            raise ScimNotUnique(_HAS_ACCOUNT)
        if account is not None:  # the process ended during the deletion
            await self._delete_account(provider, account)
        await self.identities.unlink(existing)

    async def _require_unused(self, user: UserAttributes) -> None:
        """A name or address of another account leads to a conflict, and never to that account."""
        if await self.store.find_by_name(user.user_name) is not None:
            raise ScimNotUnique(_NAME_TAKEN)
        if user.email is not None and await self.store.find_by_name(user.email) is not None:
            raise ScimNotUnique("another account has the address as its userName")

    async def _find_by(self, provider: IdentityProvider, name: str, value: str) -> ProvisionedUser | None:
        if name == "id":
            return await self._find_by_id(provider, value)
        if name == "userName" and provider.scim_subject is ScimSubject.EXTERNAL_ID:
            account = await self.store.find_by_name(value)
            return await self._find_by_id(provider, account.subject) if account is not None else None
        if name == "externalId" and provider.scim_subject is ScimSubject.USER_NAME:
            return None  # it is not stored
        identity = await self.identities.find_at(provider.declared, provider.declared.normalize_subject(value))
        return await self._with_account(provider, identity) if identity is not None else None

    async def _find_by_id(self, provider: IdentityProvider, user_id: str) -> ProvisionedUser | None:
        for identity in await self.identities.of_account(user_id):
            user = await self._with_account(provider, identity)
            if user is not None:
                return user
        return None

    async def _with_account(self, provider: IdentityProvider, identity: Identity) -> ProvisionedUser | None:
        """The user, if it is one of this provider and was not deleted."""
        if identity.provider != provider.id or identity.is_deleted:
            return None
        account = await self.store.find(identity.account)
        return ProvisionedUser(identity=identity, account=account) if account is not None else None


_HAS_ACCOUNT = "this person has an account here; find it with a filter and change it"
# An identity is stored before its account; for this long, another request may be between the two steps.
_ADDING_SECONDS = 60.0
_NAME_TAKEN = "another account has this userName"


def _subject_of(provider: IdentityProvider, user: UserAttributes) -> str:
    """The subject with which the person signs in. Raises `ScimValueInvalid` without the declared attribute."""
    if provider.scim_subject is ScimSubject.USER_NAME:
        return provider.declared.normalize_subject(user.user_name)
    if user.external_id is None:
        raise ScimValueInvalid("externalId is missing: it must be the subject with which the person signs in")
    return provider.declared.normalize_subject(user.external_id)


def _check_subject_unchanged(provider: IdentityProvider, user: ProvisionedUser, wanted: UserAttributes) -> None:
    subject, declared = user.identity.subject, provider.declared
    if provider.scim_subject is ScimSubject.USER_NAME:
        if declared.normalize_subject(wanted.user_name) != subject:
            raise ScimNotMutable("userName is the subject of the person and cannot be changed")
    elif wanted.external_id is not None and declared.normalize_subject(wanted.external_id) != subject:
        raise ScimNotMutable("externalId is the subject of the person and cannot be changed")
