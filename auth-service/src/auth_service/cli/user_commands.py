"""`auth-service user ...`: local accounts."""

import getpass
import os
import secrets
import sys
import time
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import App, Parameter
from redis.asyncio import Redis

from auth_service.accounts.account import MAX_USERNAME_LENGTH, Account, Role, end_sign_ins
from auth_service.accounts.consents import Consents
from auth_service.accounts.identities import Identities
from auth_service.accounts.local_accounts import DEMO_ACCOUNT
from auth_service.accounts.passwords import MAX_PASSWORD_LENGTH, Passwords
from auth_service.accounts.store import AccountStore
from auth_service.cli import identity_commands
from auth_service.cli.operator_session import Operator, run_audited_change, run_with_redis
from auth_service.cli.output import Json, print_rows
from auth_service.cli.user_lookup import UserRefused, change_account, grant_revocation
from auth_service.declaration_file import load_declaration
from auth_service.declared_providers import LocalSignIn
from auth_service.protocol import new_user_id
from auth_service.scopes import Scope
from auth_service.settings import AuthSettings
from auth_service.tokens.live_grants import LiveGrant
from security_common.audit import Action

__all__ = ["users"]

users = App(
    name="user",
    help="People who sign in: list, add, password, role, disable, delete, link, unlink, identities, allow, import.",
    result_action="return_value",
    version_flags=[],
)

users.command(identity_commands.link)
users.command(identity_commands.unlink)
users.command(identity_commands.identities)
users.command(identity_commands.allow)
users.command(identity_commands.import_people, name="import")

# NIST SP 800-63B section 5.1.1.2.
_MIN_PASSWORD_LENGTH = 8

PasswordFromStdin = Annotated[
    bool, Parameter(name="--password-stdin", negative="", help="Read the password from standard input.")
]


@users.command(name="list")
def list_users(*, json: Json = False) -> None:
    """Show every user who can sign in.

    For example: auth-service user list --json
    """

    async def work(settings: AuthSettings, redis: Redis) -> list[Account]:
        accounts = [account async for account in AccountStore(redis).all()]
        accounts.sort(key=lambda account: account.username)
        return [DEMO_ACCOUNT.account, *accounts] if settings.demo else accounts

    print_rows([_row(account) for account in run_with_redis(work)], as_json=json)


@users.command
def add(
    username: str,
    *,
    name: Annotated[str | None, Parameter(help="The name that pages show; the username if left out.")] = None,
    email: Annotated[str | None, Parameter(help="The e-mail address, for clients with the scope email.")] = None,
    role: Annotated[list[Role] | None, Parameter(negative="", help="A role; repeatable.")] = None,
    password_stdin: PasswordFromStdin = False,
    json: Json = False,
) -> None:
    """Add a user. The command asks for the password.

    For example: auth-service user add hong --name 홍길동 --role auditor
    """
    if not username.strip() or not username.isprintable() or len(username) > MAX_USERNAME_LENGTH:
        raise UserRefused("this username is not allowed", hint=f"use at most {MAX_USERNAME_LENGTH} letters and digits")
    password = _read_password(from_stdin=password_stdin)
    account = Account(
        subject=new_user_id(secrets.token_bytes),
        username=username.strip(),
        name=name or username.strip(),
        email=email,
        roles=frozenset(role or ()),
        created_at_seconds=time.time(),
    )

    async def work(operator: Operator) -> None:
        if not await AccountStore(operator.redis).add(account, await Passwords().hash(password)):
            raise UserRefused(f"the user {username} already exists", hint="`auth-service user list` shows the names")
        await operator.record(Action.USER_ADDED, user_id=account.subject)

    run_audited_change(work)
    print_rows([_row(account)], as_json=json)


@users.command
def password(username: str, *, password_stdin: PasswordFromStdin = False) -> None:
    """Set a new password. All sessions and tokens of the user end: sign-in is needed again at every client.

    For example: auth-service user password hong
    """
    new = _read_password(from_stdin=password_stdin)

    async def set_password(operator: Operator, account: Account) -> None:
        store = AccountStore(operator.redis)
        await store.set_password_hash(account.subject, await Passwords().hash(new))
        await store.change(account.subject, lambda stored: end_sign_ins(stored, time.time()))
        await grant_revocation(operator).revoke_all(account.subject)

    change_account(username, Action.USER_PASSWORD_SET, set_password)


@users.command
def role(
    username: str, roles: Annotated[list[Role] | None, Parameter(help="The new roles; none removes every role.")] = None
) -> None:
    """Set the roles of a user: an `auditor` may allow clients to read the audit trail of all users.

    When the role is taken away, everything that the user has allowed with mcp.audit ends. When auth.yaml permits
    passwords only to an `operator`, everything that began with the password ends with that role.

    For example: auth-service user role hong auditor
    """
    new_roles = frozenset(roles or ())

    async def set_roles(operator: Operator, account: Account) -> None:
        await AccountStore(operator.redis).change(account.subject, lambda stored: replace(stored, roles=new_roles))
        removed = account.roles - new_roles
        passwords_of_operators = load_declaration(operator.settings).sign_in.local is LocalSignIn.OPERATORS

        def is_ended(grant: LiveGrant) -> bool:
            if Role.AUDITOR in removed and Scope.MCP_AUDIT in grant.scopes:
                return True
            return Role.OPERATOR in removed and passwords_of_operators and grant.provider is None

        if removed:
            await grant_revocation(operator).revoke_all(account.subject, concerns=is_ended)

    change_account(username, Action.USER_ROLES_SET, set_roles)


@users.command
def disable(username: str, *, undo: Annotated[bool, Parameter(negative="", help="Enable again.")] = False) -> None:
    """Disable a user. Sessions and tokens end at once; resource servers learn it with the next status list.

    For example: auth-service user disable hong
    """

    def change(stored: Account) -> Account:
        return replace(stored, disabled=False) if undo else replace(end_sign_ins(stored, time.time()), disabled=True)

    async def set_disabled(operator: Operator, account: Account) -> None:
        await AccountStore(operator.redis).change(account.subject, change)
        await grant_revocation(operator).revoke_all(account.subject)

    change_account(username, Action.USER_ENABLED if undo else Action.USER_DISABLED, set_disabled)


@users.command
def delete(username: str) -> None:
    """Delete a user and the user's consents. The `sub` of the user is never used again.

    A user of an identity provider cannot sign in again; `auth-service user allow` permits a new account.

    For example: auth-service user delete hong
    """

    async def delete_account(operator: Operator, account: Account) -> None:
        # First: with the account deleted, the command could not find these by the username again.
        await Identities(operator.redis).mark_deleted(account.subject)
        await Consents(operator.redis).delete_all(account.subject)
        await grant_revocation(operator).revoke_all(account.subject)
        await AccountStore(operator.redis).delete(account)

    change_account(username, Action.USER_DELETED, delete_account)


def _read_password(*, from_stdin: bool) -> str:
    """The password is not an argument, because other users of the machine can read command lines."""
    if from_stdin:
        read = sys.stdin.readline().rstrip("\r\n")
    else:
        _require_terminal()
        read = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != read:
            raise UserRefused("the two passwords differ", hint="try again")
    if not _MIN_PASSWORD_LENGTH <= len(read) <= MAX_PASSWORD_LENGTH:
        raise UserRefused(
            f"a password needs {_MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters",
            hint="several words make a good password",
        )
    return read


def _require_terminal() -> None:
    """Raises `UserRefused` without a terminal: `getpass` would then read standard input, or fail."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        hint = "pipe it in, for example: auth-service user add hong --password-stdin < password.txt"
        raise UserRefused("there is no terminal to ask for the password on", hint=hint) from None


def _row(account: Account) -> dict[str, Any]:
    return {
        "username": account.username,
        "name": account.name,
        "subject": account.subject,
        "roles": " ".join(sorted(account.roles)),
        "disabled": account.disabled,
    }
