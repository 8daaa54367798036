"""Re-encrypting everything stored under the primary key, beside running services, stopped and taken up at will.

    keys add ──▶ keys promote ──▶ keys reencrypt ──▶ keys retire

What a store has renewed it does not renew again, so a run that was stopped is simply repeated. A service names its
stores by an entry point of the group `security_common.encrypted_stores`: a function without arguments that gives an
asynchronous context manager of stores by name.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Protocol

__all__ = ["ENTRY_POINTS", "EncryptedStore", "ReencryptionResult", "installed_stores"]

ENTRY_POINTS = "security_common.encrypted_stores"


class ReencryptionResult(StrEnum):
    """What became of one stored item."""

    RENEWED = "renewed"
    CURRENT = "current"
    UNREADABLE = "unreadable"


class EncryptedStore(Protocol):
    """A place that holds ciphertext. It alone knows the contexts its items are bound to."""

    async def count(self) -> int:
        """About how many items there are."""
        ...

    def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Brings every item under the primary key, one after the other; an item changed meanwhile is not harmed."""
        ...


StoreOpener = Callable[[], AbstractAsyncContextManager[Mapping[str, EncryptedStore]]]
"""What an entry point names."""


def installed_stores() -> dict[str, StoreOpener]:
    """The openers of every service installed here, by the service's name."""
    return {each.name: each.load() for each in entry_points(group=ENTRY_POINTS)}
