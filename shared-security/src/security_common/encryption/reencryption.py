"""Re-encryption of stored data with the primary key, while the services run. It can be stopped and repeated.

    keys add ──▶ keys promote ──▶ keys reencrypt ──▶ keys retire

A service registers its stores with an entry point of the group `security_common.encrypted_stores`: a function without
arguments that returns an asynchronous context manager, which provides the stores by name.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Protocol

__all__ = ["ENTRY_POINT_GROUP", "EncryptedStore", "ReencryptionResult", "StoreOpener", "installed_stores"]

ENTRY_POINT_GROUP = "security_common.encrypted_stores"


class ReencryptionResult(StrEnum):
    """The result for one stored item: re-encrypted, already under the primary key, or not decryptable."""

    REENCRYPTED = "renewed"
    CURRENT = "current"
    UNREADABLE = "unreadable"


class EncryptedStore(Protocol):
    """A store of ciphertext. Only the store has the contexts that its items are bound to."""

    async def count(self) -> int:
        """The approximate number of items."""
        ...

    def reencrypt(self) -> AsyncIterator[ReencryptionResult]:
        """Re-encrypts the items one by one and yields a result for each.

        An item that already uses the primary key is not changed. A concurrent change of an item must not be lost.
        """
        ...


StoreOpener = Callable[[], AbstractAsyncContextManager[Mapping[str, EncryptedStore]]]
"""The type of the function that an entry point names."""


def installed_stores() -> dict[str, StoreOpener]:
    """The functions that open the stores of each installed service, by the name of the service."""
    return {entry_point.name: entry_point.load() for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
