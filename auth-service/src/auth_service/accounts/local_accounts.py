"""Accounts of this server's own, signed in to by user name and password."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from auth_service.accounts.account import Account, Role, fold_username
from auth_service.accounts.passwords import LONGEST_PASSWORD, Passwords
from auth_service.accounts.store import AccountStore

__all__ = ["DEMO_ACCOUNT", "BuiltIn", "LocalAccounts"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An account that is in no store: it is there as long as the setting that brings it."""

    account: Account
    password: str = field(repr=False)


# What AUTH_DEMO adds. Its password is known to everyone, which is why demo mode is refused unless all is loopback.
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
    """Implements `AccountDirectory` and `SignIn`. Built-in accounts win over stored ones with the same name."""

    def __init__(self, *, store: AccountStore, passwords: Passwords, built_in: Sequence[BuiltIn] = ()) -> None:
        self._store = store
        self._passwords = passwords
        self._built_in = {each.account.subject: each for each in built_in}
        self._sealed_built_in: dict[str, str] = {}

    async def find(self, subject: str) -> Account | None:
        if subject in self._built_in:
            return self._built_in[subject].account
        account = await self._store.find(subject)
        return None if account is None or account.disabled else account

    async def sign_in(self, username: str, password: str) -> Account | None:
        if not username.isprintable() or len(username) > LONGEST_PASSWORD or len(password) > LONGEST_PASSWORD:
            username = ""
        account = await self._find_by_name(username)
        sealed = await self._sealed(account)
        if not await self._passwords.matches(sealed, password) or account is None or account.disabled:
            return None
        if sealed is not None and self._passwords.is_outdated(sealed):
            await self._store.set_password_hash(account.subject, await self._passwords.seal(password))
        return account

    async def _find_by_name(self, username: str) -> Account | None:
        wanted = fold_username(username)
        for each in self._built_in.values():
            if fold_username(each.account.username) == wanted:
                return each.account
        return await self._store.find_by_name(username)

    async def _sealed(self, account: Account | None) -> str | None:
        if account is None:
            return None
        built_in = self._built_in.get(account.subject)
        if built_in is None:
            return await self._store.password_hash(account.subject)
        if account.subject not in self._sealed_built_in:
            self._sealed_built_in[account.subject] = await self._passwords.seal(built_in.password)
        return self._sealed_built_in[account.subject]
