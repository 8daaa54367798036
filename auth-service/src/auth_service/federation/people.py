"""From the claims of an identity provider to an account: who may sign in, and which account it is.

The key is (issuer, subject), and it never moves from one account to another. Names and e-mail addresses are labels:
the same one at another account leads to a separate account with a longer username.
"""

import shlex
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import structlog

from auth_service.accounts.account import MAX_USERNAME_LENGTH, Account
from auth_service.accounts.claim_rules import (
    ClaimTooLarge,
    GroupsLeftOut,
    has_claim,
    may_sign_in,
    meets_all,
    select_claims,
)
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.declared_providers import AccountPolicy, ProviderKind
from auth_service.federation.foreign_tokens import number_claim
from auth_service.federation.id_token_rules import subject_of
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.protocol import Clock, RandomBytes, new_user_id
from auth_service.web.visible_names import visible_name
from security_common.audit import Reason
from security_common.errors import SecurityError

__all__ = [
    "People",
    "Person",
    "PersonRefused",
    "SignInAtProvider",
    "authenticated_at",
    "check_person",
    "label_of",
    "methods_of",
    "read_allowed_claims",
]

# Assertions often have no name: then operators recognize the account by the subject.
_LABEL_CLAIMS = ("preferred_username", "upn", "email", "name", "sub")
_MAX_EMAIL_CHARACTERS = 254
_MAX_METHODS = 10
_MAX_METHOD_LENGTH = 32
_OKTA_GROUP_LIMIT = 100

log = structlog.get_logger(__name__)


class PersonRefused(SecurityError):
    """The person may not sign in here. `label` is the name of the account at the provider."""

    error = "person_refused"

    def __init__(self, reason: Reason, description: str, *, label: str, hint: str = "") -> None:
        super().__init__(description, hint=hint)
        self.reason = reason
        self.label = label


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAtProvider:
    """A sign-in whose ID token satisfied all rules. `refresh_token` is the provider's, encrypted by the caller."""

    provider: IdentityProvider
    claims: Mapping[str, Any]
    refresh_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The account that signed in. `is_new`: it was made now. `looks_alike`: its username at the provider was taken."""

    account: Account
    identity: Identity
    is_new: bool = False
    looks_alike: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Finds or makes the account of a person. Raises `PersonRefused`, and `RedisError` if Redis is unavailable."""

    identities: Identities
    store: AccountStore
    clock: Clock
    random_bytes: RandomBytes

    async def admit(self, sign_in: SignInAtProvider) -> Person:
        """The account of the person who signed in, with the claims of this sign-in."""
        provider, claims = sign_in.provider, sign_in.claims
        kept = check_person(provider, claims)
        subject = subject_of(claims, provider)
        identity = await self.identities.find_at(provider.declared, subject)
        if identity is None:
            person = await self._add(sign_in, subject, kept)
            return person if person is not None else await self.admit(sign_in)
        _check_not_ended(identity, claims)
        has_new_requirements = not provider.declared.requirements <= identity.requirements
        identity = replace(
            identity,
            provider=provider.id,
            requirements=provider.declared.requirements,
            claims=kept,
            label=label_of(claims),
            refresh_token=sign_in.refresh_token,
            checked_at_seconds=self.clock(),
            signed_in_at_seconds=self.clock(),
            must_sign_in=False,
            is_gone=False,
        )
        account = await self.store.find(identity.account)
        if account is not None and account.disabled:
            raise _refused(Reason.ACCOUNT_DISABLED, claims, "the account is disabled here")
        if not await self.identities.save(identity):  # it was unlinked, or its account deleted, at this moment
            return await self.admit(sign_in)
        if account is None:  # the process ended between the two steps of `_add`
            account, looks_alike = await self._add_account(identity, claims)
            return Person(account=account, identity=identity, is_new=True, looks_alike=looks_alike)
        if has_new_requirements:
            await self.store.change(account.subject, self._end_earlier_sign_ins)
        renamed = await self._rename(account, claims)
        if renamed is None:
            raise _refused(Reason.ACCOUNT_DELETED, claims, "the account was deleted here")
        return Person(account=renamed, identity=identity)

    async def admit_asserted(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> Person:
        """The account of a person for whom the provider issued an assertion to a client (ID-JAG), made if it is new.

        The person did not sign in here, so a stored identity is not changed, unless it was stored before any sign-in
        (SCIM, `user import`): then the assertion takes the place of the first one. Claims that the assertion lacks are
        those of the last check, while it is valid.
        """
        subject = subject_of(claims, provider)
        identity = await self.identities.find_at(provider.declared, subject)
        if identity is None:
            sign_in = SignInAtProvider(provider=provider, claims=claims, refresh_token=None)
            person = await self._add(sign_in, subject, check_person(provider, claims))
            return person if person is not None else await self.admit_asserted(provider, claims)
        _check_not_ended(identity, claims)
        is_first = identity.must_sign_in and not identity.signed_in_at_seconds
        if identity.must_sign_in and not is_first:
            raise _refused(Reason.LOGIN_REQUIRED, claims, "the user has to sign in at the identity provider again")
        known = {**self._stored_claims(identity, provider, claims), **claims}
        identity = replace(identity, claims=check_person(provider, known))
        if is_first:
            identity = replace(
                identity,
                requirements=provider.declared.requirements,
                checked_at_seconds=self.clock(),
                signed_in_at_seconds=self.clock(),
                must_sign_in=False,
            )
            if not await self.identities.save(identity):  # it was changed at this moment
                return await self.admit_asserted(provider, claims)
        account = await self.store.find(identity.account)
        if account is None:  # the process ended between the two steps of `_add`
            account, looks_alike = await self._add_account(identity, claims)
            return Person(account=account, identity=identity, is_new=True, looks_alike=looks_alike)
        if account.disabled:
            raise _refused(Reason.ACCOUNT_DISABLED, claims, "the account is disabled here")
        return Person(account=account, identity=identity)

    def _stored_claims(
        self, identity: Identity, provider: IdentityProvider, claims: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The stored claims that the present ones lack; none if the last check is no longer valid."""
        if self.clock() - identity.checked_at_seconds >= provider.declared.recheck_seconds:
            return {}
        return {path: value for path, value in identity.claims.items() if not has_claim(claims, path)}

    async def _add(self, sign_in: SignInAtProvider, subject: str, kept: Mapping[str, Any]) -> Person | None:
        """The new account; None if another request was faster with the same person."""
        provider, claims = sign_in.provider, sign_in.claims
        if provider.declared.accounts is AccountPolicy.LINKED:
            raise _refused(
                Reason.NOT_LINKED,
                claims,
                f"no account is linked to {subject!a} of {provider.id}",
                hint=f"auth-service user link USERNAME --provider {provider.id} --subject {shlex.quote(subject)}",
            )
        identity = Identity(
            provider=provider.id,
            issuer=provider.issuer,
            subject=subject,
            account=new_user_id(self.random_bytes),
            label=label_of(claims),
            linked_at_seconds=self.clock(),
            checked_at_seconds=self.clock(),
            signed_in_at_seconds=self.clock(),
            claims=kept,
            requirements=provider.declared.requirements,
            refresh_token=sign_in.refresh_token,
        )
        if not await self.identities.link(identity):
            return None
        account, looks_alike = await self._add_account(identity, claims)
        return Person(account=account, identity=identity, is_new=True, looks_alike=looks_alike)

    async def _add_account(self, identity: Identity, claims: Mapping[str, Any]) -> tuple[Account, bool]:
        """The stored account, and whether another account has the username or e-mail address of the person."""
        label = label_of(claims)
        account = Account(
            subject=identity.account,
            username=label,
            name=_name(claims, "name") or label,
            email=_email(claims),
            created_at_seconds=self.clock(),
            provider=identity.provider,
        )
        looks_alike = account.email is not None and await self.store.find_by_name(account.email) is not None
        for suffix in ("", f"#{identity.provider}", f"#{identity.provider}-{identity.key[:8]}"):
            named = replace(account, username=label[: MAX_USERNAME_LENGTH - len(suffix)] + suffix)
            if await self.store.add(named):
                return named, looks_alike or suffix != ""
        # The last name is derived from the key of this person, so another request has just added the account.
        stored = await self.store.find(identity.account)
        return stored if stored is not None else account, False

    def _end_earlier_sign_ins(self, account: Account) -> Account:
        """They did not satisfy what `require` demands now. The present one goes on."""
        return replace(account, signed_out_at_seconds=max(account.signed_out_at_seconds, int(self.clock())))

    async def _rename(self, account: Account, claims: Mapping[str, Any]) -> Account | None:
        """The account with the present name and e-mail address; None if it was deleted in the meantime.

        The username stays: operators use it in commands.
        """
        if account.provider is None:
            return account
        name, email = _name(claims, "name") or account.name, _email(claims)
        if (name, email) == (account.name, account.email):
            return account
        return await self.store.change(account.subject, lambda stored: replace(stored, name=name, email=email))


def _check_not_ended(identity: Identity, claims: Mapping[str, Any]) -> None:
    """Raises `PersonRefused` if the account was deleted here, or the provider has deactivated the user."""
    if identity.is_deleted:
        raise _refused(Reason.ACCOUNT_DELETED, claims, "the account was deleted here")
    if identity.is_inactive:
        raise _refused(Reason.ACCOUNT_DISABLED, claims, "the identity provider has deactivated the account")


def check_person(provider: IdentityProvider, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims to keep. Raises `PersonRefused` if `allow`, `hosted_domains` or `require` are not satisfied."""
    kept = read_allowed_claims(provider, claims)
    with _unusable_claims_refused(claims):
        is_sufficient = meets_all(claims, provider.declared.require)
    if not is_sufficient:
        raise _refused(
            Reason.REQUIREMENT_NOT_MET, claims, f"the claims of this sign-in do not satisfy require of {provider.id}"
        )
    return kept


def read_allowed_claims(provider: IdentityProvider, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims to keep. Raises `PersonRefused` if `allow` or `hosted_domains` are not satisfied."""
    with _unusable_claims_refused(claims):
        kept = select_claims(claims, provider.claims_to_keep)
        is_allowed = may_sign_in(claims, provider.declared)
    if provider.declared.kind is ProviderKind.OKTA and len(kept.get("groups", ())) == _OKTA_GROUP_LIMIT:
        log.warning(
            "groups_may_be_incomplete", provider=provider.id, hint="Okta sends 100 groups at most: use a filter"
        )
    if not is_allowed:
        raise _refused(Reason.NOT_ALLOWED, claims, f"the claims of this account do not satisfy allow of {provider.id}")
    return kept


@contextmanager
def _unusable_claims_refused(claims: Mapping[str, Any]) -> Generator[None]:
    try:
        yield
    except GroupsLeftOut as error:
        hint = "use app roles, or let the provider send only the groups that are assigned to the application"
        raise _refused(Reason.GROUPS_LEFT_OUT, claims, str(error), hint=hint) from error
    except ClaimTooLarge as error:
        raise _refused(Reason.CLAIM_TOO_LARGE, claims, str(error)) from error


def label_of(claims: Mapping[str, Any]) -> str:
    """A name by which people recognize the account at the provider. It identifies nobody."""
    return next((text for name in _LABEL_CLAIMS if (text := _name(claims, name))), None) or "user"


def methods_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`amr` of the provider (RFC 8176), as far as it is a list of short texts."""
    values: Any = claims.get("amr")
    if not isinstance(values, list):
        return ()
    return tuple(value for value in cast("list[Any]", values)[:_MAX_METHODS] if _is_method(value))


def _is_method(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and 0 < len(value) <= _MAX_METHOD_LENGTH


def authenticated_at(claims: Mapping[str, Any]) -> float | None:
    """`auth_time`: when the user authenticated at the provider, in seconds since the epoch."""
    return number_claim(claims, "auth_time")


def _name(claims: Mapping[str, Any], claim: str) -> str | None:
    """The claim as a visible name (`visible_name`), so that two names that look the same are the same."""
    value = claims.get(claim)
    return visible_name(value) if isinstance(value, str) else None


def _email(claims: Mapping[str, Any]) -> str | None:
    """The e-mail address as it is; None if it is longer than an address can be (RFC 5321), or not printable."""
    value = claims.get("email")
    is_usable = isinstance(value, str) and 0 < len(value) <= _MAX_EMAIL_CHARACTERS and value.isprintable()
    return value if is_usable else None


def _refused(reason: Reason, claims: Mapping[str, Any], description: str, *, hint: str = "") -> PersonRefused:
    return PersonRefused(reason, description, label=label_of(claims), hint=hint)
