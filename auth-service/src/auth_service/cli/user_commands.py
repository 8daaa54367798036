"""`auth-service user ...`: the local accounts."""

import getpass
import os
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import App, Parameter
from redis.asyncio import Redis

from auth_service.accounts.account import Account, Role
from auth_service.accounts.local_accounts import DEMO_ACCOUNT
from auth_service.accounts.passwords import LONGEST_PASSWORD, Passwords
from auth_service.accounts.store import AccountStore
from auth_service.cli.operator import Json, Operator, change, print_rows, run
from auth_service.settings import AuthSettings
from security_common.audit import Action
from security_common.errors import SecurityError

__all__ = ["UserRefused", "find_account", "users"]

users = App(
    name="user",
    help="People who sign in: list, add, password, role, disable, delete.",
    result_action="return_value",
    version_flags=[],
)

# NIST SP 800-63B section 5.1.1.2.
_SHORTEST_PASSWORD = 8

PasswordFromStdin = Annotated[
    bool, Parameter(name="--password-stdin", negative="", help="Read the password from standard input.")
]


class UserRefused(SecurityError):
    """The command cannot do this to this person, or there is nothing to do."""

    error = "user_refused"


@users.command(name="list")
def list_users(*, json: Json = False) -> None:
    """Everybody who can sign in.

    For example: auth-service user list --json
    """

    async def work(settings: AuthSettings, redis: Redis) -> list[Account]:
        stored = [account async for account in AccountStore(redis).all()]
        return [*((DEMO_ACCOUNT.account,) if settings.demo else ()), *sorted(stored, key=lambda each: each.username)]

    print_rows([_row(account) for account in run(work)], as_json=json)


@users.command
def add(
    username: str,
    *,
    name: Annotated[str | None, Parameter(help="What pages call them; the user name when left out.")] = None,
    email: Annotated[str | None, Parameter(help="Their address, for clients that may know it.")] = None,
    role: Annotated[list[Role] | None, Parameter(negative="", help="A role; repeatable.")] = None,
    password_stdin: PasswordFromStdin = False,
    json: Json = False,
) -> None:
    """Add a person; asks for the password.

    For example: auth-service user add hong --name 홍길동 --role auditor
    """
    if not username.strip() or not username.isprintable() or len(username) > LONGEST_PASSWORD:
        raise UserRefused("this user name cannot be used", hint="use letters and digits, at most 256")
    password = _read_password(from_stdin=password_stdin)
    account = Account(
        subject="u_" + urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode("ascii"),
        username=username.strip(),
        name=name or username.strip(),
        email=email,
        roles=frozenset(role or ()),
        created_at_seconds=time.time(),
    )

    async def work(operator: Operator) -> None:
        if not await AccountStore(operator.redis).add(account, await Passwords().seal(password)):
            raise UserRefused(f"there is a user {username} already", hint="`auth-service user list` shows the names")
        await operator.record(Action.USER_ADDED, user_id=account.subject)

    change(work)
    print_rows([_row(account)], as_json=json)


@users.command
def password(username: str, *, password_stdin: PasswordFromStdin = False) -> None:
    """Set a new password; whoever is signed in with the old one, at any client, has to sign in again.

    For example: auth-service user password hong
    """
    new = _read_password(from_stdin=password_stdin)

    async def set_it(store: AccountStore, account: Account) -> None:
        await store.set_password_hash(account.subject, await Passwords().seal(new))
        await store.save(replace(account, signed_out_at_seconds=int(time.time())))

    _change(username, Action.USER_PASSWORD_SET, set_it)


@users.command
def role(
    username: str, roles: Annotated[list[Role] | None, Parameter(help="The roles from now on; none: no role.")] = None
) -> None:
    """Set what a person may do: `auditor` may grant clients everybody's access records.

    For example: auth-service user role hong auditor
    """
    kept = frozenset(roles or ())
    _change(username, Action.USER_ROLES_SET, lambda store, account: store.save(replace(account, roles=kept)))


@users.command
def disable(username: str, *, undo: Annotated[bool, Parameter(negative="", help="Enable again.")] = False) -> None:
    """Keep a person out: sessions and refresh tokens end at once, access tokens with their lifetime.

    For example: auth-service user disable hong
    """

    async def set_it(store: AccountStore, account: Account) -> None:
        await store.save(replace(account, disabled=not undo, signed_out_at_seconds=int(time.time())))

    _change(username, Action.USER_ENABLED if undo else Action.USER_DISABLED, set_it)


@users.command
def delete(username: str) -> None:
    """Delete a person; the id in their tokens is never given to anybody else.

    For example: auth-service user delete hong
    """
    _change(username, Action.USER_DELETED, AccountStore.delete)


async def find_account(settings: AuthSettings, redis: Redis, username: str) -> Account:
    """The account with this name, the demo's too. Raises `UserRefused`."""
    if settings.demo and username == DEMO_ACCOUNT.account.username:
        return DEMO_ACCOUNT.account
    account = await AccountStore(redis).find_by_name(username)
    if account is None:
        raise UserRefused(f"there is no user {username}", hint="`auth-service user list` shows the names")
    return account


def _change(username: str, action: Action, set_it: Callable[[AccountStore, Account], Awaitable[None]]) -> None:
    async def work(operator: Operator) -> None:
        account = await find_account(operator.settings, operator.redis, username)
        if account is DEMO_ACCOUNT.account:
            raise UserRefused("the demo user cannot be changed", hint="set AUTH_DEMO=false to be rid of it")
        await set_it(AccountStore(operator.redis), account)
        await operator.record(action, user_id=account.subject)

    change(work)


def _read_password(*, from_stdin: bool) -> str:
    """Never from the command line, which other users of the machine can read."""
    if from_stdin:
        read = sys.stdin.readline().rstrip("\r\n")
    else:
        _require_terminal()
        read = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != read:
            raise UserRefused("the two passwords differ", hint="try again")
    if not _SHORTEST_PASSWORD <= len(read) <= LONGEST_PASSWORD:
        raise UserRefused(
            f"a password needs {_SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", hint="some words make a good one"
        )
    return read


def _require_terminal() -> None:
    """`getpass` would otherwise read the password from standard input, or fail. Raises `UserRefused`."""
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
