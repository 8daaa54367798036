"""A cache in memory with limits: a number of entries, a number of bytes, and a lifetime for each entry.

The caches of cachetools have one limit, of a number or of a size, and the ones with lifetimes evict by use.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_SWEEP_INTERVAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    value: Value
    size_bytes: int
    expires_at_seconds: float


class BoundedCache(Generic[Key, Value]):
    """Maps keys to values; the entry that was stored longest ago is evicted first.

    Input of unauthenticated clients decides what is stored, so every entry has a size, and expired entries are removed
    even if they are never requested again. Values must be small and complete: never an exception (its traceback keeps
    all local variables of the call in memory), a response, or a connection.
    """

    def __init__(self, *, clock: Callable[[], float], max_entries: int, max_bytes: int) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._size_bytes = 0
        self._next_sweep_at_seconds = clock() + _SWEEP_INTERVAL_SECONDS

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """The sum of the sizes that were given for the stored entries."""
        return self._size_bytes

    def get(self, key: Key) -> Value | None:
        """The value, or None when there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at_seconds <= self._clock():
            self.discard(key)
            return None
        return entry.value

    def put(self, key: Key, value: Value, *, size_bytes: int, lifetime_seconds: float) -> None:
        """Stores a value and replaces an earlier one. A value that is larger than the whole cache is not stored."""
        self.discard(key)
        if size_bytes > self._max_bytes:
            return
        now = self._clock()
        if now >= self._next_sweep_at_seconds:
            self._remove_expired(now)
        self._entries[key] = _Entry(value, size_bytes, now + lifetime_seconds)
        self._size_bytes += size_bytes
        while len(self._entries) > self._max_entries or self._size_bytes > self._max_bytes:
            self.discard(next(iter(self._entries)))

    def discard(self, key: Key) -> None:
        """Removes the entry, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size_bytes -= entry.size_bytes

    def discard_where(self, matches: Callable[[Value], bool]) -> None:
        """Removes all entries whose value matches."""
        for key in [key for key, entry in self._entries.items() if matches(entry.value)]:
            self.discard(key)

    def _remove_expired(self, now: float) -> None:
        self._next_sweep_at_seconds = now + _SWEEP_INTERVAL_SECONDS
        for key in [key for key, entry in self._entries.items() if entry.expires_at_seconds <= now]:
            self.discard(key)
