"""Re-encrypting everything stored under the primary key, beside running services, stopped and taken up at will.

    keys add ──▶ keys promote ──▶ keys reencrypt ──▶ keys retire

What a store has renewed it does not renew again, so a run that was stopped is simply repeated. A service names its
stores by an entry point of the group `security_common.encrypted_stores`: a function without arguments that gives an
asynchronous context manager of stores by name.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Protocol

__all__ = ["ENTRY_POINTS", "EncryptedStore", "Progress", "Renewal", "installed_stores", "renew"]

ENTRY_POINTS = "security_common.encrypted_stores"


class Renewal(StrEnum):
    """What became of one stored item."""

    RENEWED = "renewed"
    CURRENT = "current"
    UNREADABLE = "unreadable"


class EncryptedStore(Protocol):
    """A place that holds ciphertext. It alone knows the contexts its items are bound to."""

    async def count(self) -> int:
        """About how many items there are."""
        ...

    def reencrypt(self) -> AsyncIterator[Renewal]:
        """Brings every item under the primary key, one after the other; an item changed meanwhile is not harmed."""
        ...


class StoreOpener(Protocol):
    """What an entry point names."""

    def __call__(self) -> AbstractAsyncContextManager[Mapping[str, EncryptedStore]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one store is. `total` is an estimate made at the start."""

    store: str
    total: int
    seen: int = 0
    renewed: int = 0
    unreadable: int = 0

    def with_item(self, renewal: Renewal) -> "Progress":
        """After one more item."""
        return replace(
            self,
            seen=self.seen + 1,
            renewed=self.renewed + (renewal is Renewal.RENEWED),
            unreadable=self.unreadable + (renewal is Renewal.UNREADABLE),
        )


def installed_stores() -> dict[str, StoreOpener]:
    """The openers of every service installed here, by the service's name."""
    return {each.name: each.load() for each in entry_points(group=ENTRY_POINTS)}


async def renew(name: str, store: EncryptedStore) -> AsyncIterator[Progress]:
    """Re-encrypts one store; gives its progress before the first item and after each."""
    progress = Progress(store=name, total=await store.count())
    yield progress
    async for renewal in store.reencrypt():
        progress = progress.with_item(renewal)
        yield progress
