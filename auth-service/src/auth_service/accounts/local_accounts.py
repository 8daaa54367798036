"""Local accounts: sign-in by username and password, with accounts in Redis or built in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from auth_service.accounts.account import Account, Role, fold_username
from auth_service.accounts.passwords import MAX_PASSWORD_LENGTH, Passwords
from auth_service.accounts.store import AccountStore

__all__ = ["DEMO_ACCOUNT", "BuiltIn", "LocalAccounts"]


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


class LocalAccounts:
    """Implements `AccountDirectory` and `SignIn`. A built-in account takes precedence over a stored one."""

    def __init__(self, *, store: AccountStore, passwords: Passwords, built_in: Sequence[BuiltIn] = ()) -> None:
        self._store = store
        self._passwords = passwords
        self._built_in = {entry.account.subject: entry for entry in built_in}
        self._built_in_hashes: dict[str, str] = {}

    async def find(self, subject: str) -> Account | None:
        if subject in self._built_in:
            return self._built_in[subject].account
        account = await self._store.find(subject)
        return None if account is None or account.disabled else account

    async def sign_in(self, username: str, password: str) -> Account | None:
        if not username.isprintable() or len(username) > MAX_PASSWORD_LENGTH or len(password) > MAX_PASSWORD_LENGTH:
            username = ""
        account = await self._find_by_name(username)
        password_hash = await self._password_hash(account)
        if not await self._passwords.matches(password_hash, password) or account is None or account.disabled:
            return None
        if password_hash is not None and self._passwords.is_outdated(password_hash):
            await self._store.set_password_hash(account.subject, await self._passwords.hash(password))
        return account

    async def _find_by_name(self, username: str) -> Account | None:
        folded = fold_username(username)
        for entry in self._built_in.values():
            if fold_username(entry.account.username) == folded:
                return entry.account
        return await self._store.find_by_name(username)

    async def _password_hash(self, account: Account | None) -> str | None:
        if account is None:
            return None
        built_in = self._built_in.get(account.subject)
        if built_in is None:
            return await self._store.password_hash(account.subject)
        if account.subject not in self._built_in_hashes:
            self._built_in_hashes[account.subject] = await self._passwords.hash(built_in.password)
        return self._built_in_hashes[account.subject]
