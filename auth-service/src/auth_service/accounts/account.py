"""A user's account, and the interfaces through which other packages find it."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = ["MAX_USERNAME_LENGTH", "Account", "AccountDirectory", "PasswordSignIn", "Role", "fold_username"]

MAX_USERNAME_LENGTH = 256


class Role(StrEnum):
    """What a user may do in addition to what every user may do."""

    AUDITOR = "auditor"  # may grant mcp.audit: the audit trail of all users


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`subject` is the random `u_...` id in tokens; it never changes, the other members may.

    Sign-ins before `signed_out_at_seconds` (since the epoch) are not valid any more, nor are their refresh tokens.
    """

    subject: str
    username: str
    name: str
    email: str | None = None
    roles: frozenset[Role] = field(default_factory=frozenset[Role])
    disabled: bool = False
    created_at_seconds: float = 0.0
    signed_out_at_seconds: int = 0


class AccountDirectory(Protocol):
    """Finds the account of a token's `sub`."""

    async def find(self, subject: str) -> Account | None:
        """The account; None if it was deleted or disabled. Raises `RedisError` if Redis is unavailable."""
        ...


class PasswordSignIn(Protocol):
    """Sign-in by username and password."""

    async def check(self, username: str, password: str) -> Account | None:
        """The account, or None. Takes the same time whether the username or the password is wrong."""
        ...


def fold_username(username: str) -> str:
    """Equal for usernames that people consider the same: width, composition and case make no difference."""
    return unicodedata.normalize("NFKC", username).strip().casefold()
