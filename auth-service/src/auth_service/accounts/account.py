"""A person as every other room sees one."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = ["Account", "AccountDirectory", "Role", "SignIn", "fold_username"]


class Role(StrEnum):
    """What a person may do beyond what everybody may."""

    AUDITOR = "auditor"  # may grant mcp.audit: everybody's access records


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`subject` is the random `u_...` id that stands in tokens; the other names may change, it never does.

    Sign-ins of before `signed_out_at_seconds` (since the epoch) count no more, nor what came of them.
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
    """Where a token's `sub` is looked up."""

    async def find(self, subject: str) -> Account | None:
        """The account, or None when it is gone or disabled. Raises `RedisError` when Redis is away."""
        ...


class SignIn(Protocol):
    """A way of proving by user name and password who one is."""

    async def sign_in(self, username: str, password: str) -> Account | None:
        """The account, or None; takes equally long whichever of the two is wrong."""
        ...


def fold_username(username: str) -> str:
    """Equal for names that people would take for the same: width, composition and case do not count."""
    return unicodedata.normalize("NFKC", username).strip().casefold()
