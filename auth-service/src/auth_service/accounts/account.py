"""A user's account, and the interfaces through which other packages find it."""

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol

from pydantic import Field

from auth_service.scopes import Role

__all__ = [
    "MAX_USERNAME_LENGTH",
    "Account",
    "AccountDirectory",
    "PasswordSignIn",
    "Role",
    "end_sign_ins",
    "fold_username",
]

MAX_USERNAME_LENGTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`subject` is the random `u_...` id in tokens; it never changes, the other members may.

    Sign-ins before `signed_out_at_seconds` (since the epoch) are not valid any more, nor are their refresh tokens.
    `provider` is the identity provider at whose first sign-in the account was made; None for a local account.
    `scope_limit` is what the rules of the provider let this user grant; None if they do not apply. It is not stored.
    """

    subject: str
    username: str
    name: str
    email: str | None = None
    roles: frozenset[Role] = field(default_factory=frozenset[Role])
    disabled: bool = False
    created_at_seconds: float = 0.0
    signed_out_at_seconds: int = 0
    provider: str | None = None
    scope_limit: Annotated[frozenset[str] | None, Field(exclude=True)] = None

    @property
    def visible_name(self) -> str:
        """The name for pages, with the username if it differs: people choose their names at a provider themselves."""
        return self.name if self.name == self.username else f"{self.name} ({self.username})"


class AccountDirectory(Protocol):
    """Finds the account of a token's `sub`."""

    async def find(self, subject: str, provider: str | None = None) -> Account | None:
        """The account; None if it was deleted or disabled. Raises `RedisError` if Redis is unavailable.

        `provider` is the identity provider at which the user signed in. Then the account has the roles and the
        `scope_limit` that the provider's rules give, and is None also if the user has to sign in there again, is not
        linked there any more, or the provider is not declared any more. Without `provider`, the user signed in with a
        password: None if auth.yaml does not permit that any more (`sign_in.local`), or if a provider at which the
        account is linked has ended the user's access.
        """
        ...


class PasswordSignIn(Protocol):
    """Sign-in by username and password."""

    async def check(self, username: str, password: str) -> Account | None:
        """The account, or None. Takes the same time whether the username or the password is wrong."""
        ...


def end_sign_ins(account: Account, now: float) -> Account:
    """The account with every session and refresh token ended.

    Sign-ins are stored in whole seconds, so those of the present second end as well.
    """
    return replace(account, signed_out_at_seconds=int(now) + 1)


def fold_username(username: str) -> str:
    """Equal for usernames that people consider the same: width, composition and case make no difference."""
    return unicodedata.normalize("NFKC", username).strip().casefold()
