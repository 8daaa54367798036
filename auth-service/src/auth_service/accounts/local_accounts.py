"""Local accounts: sign-in by username and password, with accounts in Redis or built in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from auth_service.accounts.account import MAX_USERNAME_LENGTH, Account, Role, fold_username
from auth_service.accounts.passwords import MAX_PASSWORD_LENGTH, Passwords
from auth_service.accounts.store import AccountStore
from auth_service.declared_providers import LocalSignIn

__all__ = ["DEMO_ACCOUNT", "BuiltIn", "LocalAccounts", "find_built_in"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An account that is not stored: it exists while a setting enables it."""

    account: Account
    password: str = field(repr=False)


# The account of demo mode. Everyone knows its password, so demo mode requires that issuer and resource are loopback.
DEMO_ACCOUNT = BuiltIn(
    Account(
        subject="u_3kT8mWnq0Zr5VxBdJ2yLhA",
        username="demo",
        name="Demo User",
        email="demo@example.com",
        roles=frozenset({Role.AUDITOR}),
    ),
    "demo",
)


def find_built_in(accounts: Iterable[BuiltIn], username: str) -> BuiltIn | None:
    """The built-in account with this username, which takes precedence over a stored one."""
    folded = fold_username(username)
    return next((entry for entry in accounts if fold_username(entry.account.username) == folded), None)


class LocalAccounts:
    """Implements `PasswordSignIn`, and finds accounts by subject. A built-in account precedes a stored one."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: Passwords,
        built_in: Sequence[BuiltIn] = (),
        who: LocalSignIn = LocalSignIn.EVERYONE,
    ) -> None:
        self._store = store
        self._who = who
        self._passwords = passwords
        self._built_in = {entry.account.subject: entry for entry in built_in}
        self._built_in_hashes: dict[str, str] = {}

    async def find(self, subject: str) -> Account | None:
        """The account, without what an identity provider gives; see `accounts.directory.Accounts`."""
        if subject in self._built_in:
            return self._built_in[subject].account
        account = await self._store.find(subject)
        return None if account is None or account.disabled else account

    async def check(self, username: str, password: str) -> Account | None:
        is_possible = (
            username.isprintable() and len(username) <= MAX_USERNAME_LENGTH and len(password) <= MAX_PASSWORD_LENGTH
        )
        if not is_possible:
            username = ""  # no account has it, and the response takes as long as for another wrong username
        account = await self._find_by_name(username)
        password_hash = await self._password_hash(account)
        if not await self._passwords.matches(password_hash, password) or account is None or account.disabled:
            return None
        if not self.may_use_password(account):
            return None
        if password_hash is not None and self._passwords.is_outdated(password_hash):
            await self._store.set_password_hash(account.subject, await self._passwords.hash(password))
        return account

    def may_use_password(self, account: Account) -> bool:
        """Whether `sign_in.local` of auth.yaml lets this user sign in with a password."""
        is_operator = self._who is LocalSignIn.OPERATORS and Role.OPERATOR in account.roles
        return self._who is LocalSignIn.EVERYONE or is_operator

    async def _find_by_name(self, username: str) -> Account | None:
        built_in = find_built_in(self._built_in.values(), username)
        return built_in.account if built_in is not None else await self._store.find_by_name(username)

    async def _password_hash(self, account: Account | None) -> str | None:
        if account is None:
            return None
        built_in = self._built_in.get(account.subject)
        if built_in is None:
            return await self._store.password_hash(account.subject)
        if account.subject not in self._built_in_hashes:
            self._built_in_hashes[account.subject] = await self._passwords.hash(built_in.password)
        return self._built_in_hashes[account.subject]
