"""`auth-service user link|unlink|identities|allow|import`: the people at identity providers behind accounts."""

import csv
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from redis.asyncio import Redis

from auth_service.accounts.account import MAX_USERNAME_LENGTH, Account, end_sign_ins
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.cli.operator_session import Operator, run_audited_change, run_with_redis
from auth_service.cli.output import Json, format_time, print_rows
from auth_service.cli.user_lookup import UserRefused, find_account, find_changeable_account, grant_revocation
from auth_service.declaration_file import load_declaration
from auth_service.declared_providers import GUID, DeclaredProvider, ProviderKind
from auth_service.federation.declared_issuers import check_declared_issuers
from auth_service.federation.id_token_rules import is_subject
from auth_service.protocol import new_user_id
from auth_service.settings import AuthSettings
from security_common.audit import Action

__all__ = ["allow", "identities", "import_people", "link", "unlink"]

Provider = Annotated[str, Parameter(help="The id of the identity provider in auth.yaml.")]
Subject = Annotated[
    str, Parameter(help="The stable subject of the person there: `sub`; at Entra ID the object id (`oid`).")
]
_COLUMNS = ("subject", "username", "name", "email")


def link(username: str, *, provider: Provider, subject: Subject) -> None:
    """Link a user to a person at an identity provider, who can then sign in there.

    For example: auth-service user link hong --provider contoso --subject 8f2b0c1e-0000-4000-8000-000000000001
    """

    async def work(operator: Operator) -> None:
        account = await find_changeable_account(operator, username)
        declared = await _find_provider(operator, provider)
        await _add_identity(operator, declared, _read_subject(declared, subject), account)
        await operator.record(Action.USER_LINKED, user_id=account.subject, reason=provider)

    run_audited_change(work)


def unlink(username: str, *, provider: Provider) -> None:
    """Remove the link of a user to an identity provider. All sessions and tokens of the user end at once.

    For example: auth-service user unlink hong --provider contoso
    """

    async def work(operator: Operator) -> None:
        account = await find_changeable_account(operator, username)
        store = Identities(operator.redis)
        linked = await store.of_account(account.subject)
        removed = [identity for identity in linked if identity.provider == provider]
        if not removed:
            raise UserRefused(f"{username} is not linked to {provider}", hint=f"`user identities {username}` shows all")
        accounts = AccountStore(operator.redis)
        # The password of a provider's account counts only as long as the user is linked there.
        is_local = account.provider is None
        has_password = is_local and await accounts.password_hash(account.subject) is not None
        if not has_password and len(removed) == len(linked):
            hint = f"`user disable {username}` ends access"
            if is_local:
                hint += f", `user password {username}` gives another way to sign in"
            raise UserRefused(f"{username} could not sign in any more", hint=hint)
        # For good: after another link to the same provider, sessions of the person before would be valid again.
        await accounts.change(account.subject, lambda stored: end_sign_ins(stored, time.time()))
        await grant_revocation(operator).revoke_all(account.subject)
        for identity in removed:
            await store.unlink(identity)
        await operator.record(Action.USER_UNLINKED, user_id=account.subject, reason=provider)

    run_audited_change(work)


def identities(username: str, *, json: Json = False) -> None:
    """Show at which identity providers a user can sign in.

    For example: auth-service user identities hong --json
    """

    async def work(settings: AuthSettings, redis: Redis) -> list[Identity]:
        account = await find_account(settings, redis, username)
        return await Identities(redis).of_account(account.subject)

    print_rows([_row(identity) for identity in run_with_redis(work)], as_json=json)


def allow(*, provider: Provider, subject: Subject) -> None:
    """Let a person whose account was deleted sign in again, with a new account.

    For example: auth-service user allow --provider contoso --subject 8f2b0c1e-0000-4000-8000-000000000001
    """

    async def work(operator: Operator) -> None:
        store = Identities(operator.redis)
        declared = await _find_provider(operator, provider)
        identity = await store.find_at(declared, _read_subject(declared, subject))
        if identity is None or not identity.is_deleted:
            raise UserRefused("no deleted account belongs to this person", hint="check --provider and --subject")
        await store.unlink(identity)
        await operator.record(Action.USER_UNLINKED, user_id=identity.account, reason=provider)

    run_audited_change(work)


def import_people(file: Path, *, provider: Provider, json: Json = False) -> None:
    """Add accounts for people before their first sign-in.

    The file is CSV with the columns subject, username, name and email. People who have an account are left out.

    For example: auth-service user import staff.csv --provider contoso
    """

    async def work(operator: Operator) -> list[dict[str, Any]]:
        declared = await _find_provider(operator, provider)
        people = [replace(person, subject=_read_subject(declared, person.subject)) for person in _read_people(file)]
        added = [await _import(operator, declared, person) for person in people]
        return [_account_row(account) for account in added if account is not None]

    print_rows(run_audited_change(work), as_json=json)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPerson:
    """One line of the file."""

    subject: str
    username: str
    name: str
    email: str | None


async def _import(operator: Operator, declared: DeclaredProvider, person: ImportedPerson) -> Account | None:
    """The new account; None if the person has one. Raises `UserRefused` if the username is taken."""
    if await Identities(operator.redis).find_at(declared, person.subject) is not None:
        return None
    account = Account(
        subject=new_user_id(secrets.token_bytes),
        username=person.username,
        name=person.name,
        email=person.email,
        created_at_seconds=time.time(),
        provider=declared.id,
    )
    if not await AccountStore(operator.redis).add(account):
        hint = f"`user link {person.username}` links the existing account, or choose another username in the file"
        raise UserRefused(f"the user {person.username} already exists", hint=hint)
    await _add_identity(operator, declared, person.subject, account)
    await operator.record(Action.USER_ADDED, user_id=account.subject, reason=declared.id)
    return account


def _read_people(file: Path) -> Iterator[ImportedPerson]:
    """Raises `UserRefused` with the line that is wrong."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserRefused(f"{file} cannot be read", hint="it must be CSV in UTF-8") from error
    rows = csv.DictReader(lines)
    if not {"subject", "username"} <= set(rows.fieldnames or ()):
        raise UserRefused(f"{file} has no columns subject and username", hint=f"begin with {','.join(_COLUMNS)}")
    for number, row in enumerate(rows, start=2):
        subject, username = (row.get("subject") or "").strip(), (row.get("username") or "").strip()
        if not subject or not username or len(username) > MAX_USERNAME_LENGTH or not username.isprintable():
            raise UserRefused(f"{file}: line {number} has no usable subject and username", hint="correct the line")
        yield ImportedPerson(
            subject=subject,
            username=username,
            name=(row.get("name") or "").strip() or username,
            email=(row.get("email") or "").strip() or None,
        )


async def _find_provider(operator: Operator, provider_id: str) -> DeclaredProvider:
    """Raises `UserRefused`, and `DeclarationInvalid` if the issuer of a provider changed without notice."""
    declared = load_declaration(operator.settings).identity_providers
    await check_declared_issuers(declared, Identities(operator.redis))
    found = next((provider for provider in declared if provider.id == provider_id), None)
    if found is None:
        known = ", ".join(provider.id for provider in declared) or "none"
        raise UserRefused(f"there is no identity provider {provider_id}", hint=f"auth.yaml declares: {known}")
    return found


def _read_subject(declared: DeclaredProvider, text: str) -> str:
    """The subject as ID tokens have it. Raises `UserRefused` if no person of this provider can have it."""
    subject = declared.normalize_subject(text)
    if not is_subject(subject):
        raise UserRefused(f"{text!a} cannot be a subject", hint="write what the provider shows as the id of the person")
    if declared.kind is ProviderKind.ENTRA and not GUID.fullmatch(subject):
        raise UserRefused(f"{text!a} is not an object id", hint="write the object id (a GUID) of the person")
    return subject


def _new_identity(declared: DeclaredProvider, subject: str, account: Account) -> Identity:
    """An identity without claims: they are read at the first sign-in."""
    return Identity(
        provider=declared.id,
        issuer=declared.resolved_issuer,
        subject=subject,
        account=account.subject,
        linked_at_seconds=time.time(),
        checked_at_seconds=0.0,
        must_sign_in=True,
    )


async def _add_identity(operator: Operator, declared: DeclaredProvider, subject: str, account: Account) -> None:
    """Links the person. Raises `UserRefused` if the person or the account has another link at this provider."""
    store = Identities(operator.redis)
    existing = await store.find_at(declared, subject)
    if existing is not None and existing.account == account.subject:
        return
    linked = await store.of_account(account.subject)
    if existing is None and any(each.provider == declared.id for each in linked):
        raise UserRefused(
            f"{account.username} is linked to another person of {declared.id}, and an account belongs to one person",
            hint=f"`user unlink {account.username} --provider {declared.id}` first, or link another account",
        )
    if existing is not None or not await store.link(_new_identity(declared, subject, account)):
        raise UserRefused(
            "this person is linked to another account, and links are never moved",
            hint="`user unlink` the other account first; `user allow` if it was deleted",
        )


def _row(identity: Identity) -> dict[str, Any]:
    return {
        "provider": identity.provider,
        "subject": identity.subject,
        "label": identity.label,
        "linked_at": format_time(identity.linked_at_seconds),
        "checked_at": format_time(identity.checked_at_seconds) if identity.checked_at_seconds else "",
        "must_sign_in": identity.must_sign_in,
        "deactivated": identity.is_inactive,
    }


def _account_row(account: Account) -> dict[str, Any]:
    return {"username": account.username, "name": account.name, "subject": account.subject}
