"""Which placeholder replaces which value: the interface of a store, and the store in the memory of this process.

    result ──▶ assign   value ─▶ placeholder, the same one for an equal value of the same owner until it expires
    call   ──▶ resolve  placeholder ─▶ value, only for its owner

A placeholder is random, so nothing about a value can be computed from it. It expires when it was not assigned again for
a lifetime. An owner (issuer and subject) has a limited number of placeholders: a caller that can pass guesses through a
tool could otherwise try all values of a small set, such as dates of birth, and compare the placeholders.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

from security_common.errors import SecurityError
from security_common.pii import PIIKind
from security_common.pii.normalization import normalize
from security_common.pii.placeholders import new_placeholder
from security_common.tool_policy.errors import ToolPolicyError

__all__ = [
    "DEFAULT_LIFETIME_SECONDS",
    "DEFAULT_PER_OWNER",
    "InMemoryPlaceholderStore",
    "PersonalValue",
    "PlaceholderLimitReached",
    "PlaceholderStore",
    "PlaceholdersUnavailable",
]

DEFAULT_LIFETIME_SECONDS = 24 * 60 * 60
DEFAULT_PER_OWNER = 10_000
DEFAULT_IN_MEMORY = 100_000

_EXACT_KINDS = frozenset({PIIKind.SECRET, PIIKind.CUSTOM})
"""Kinds whose values differ if they are written differently."""
_KINDS_WITH_WORDS = frozenset({PIIKind.EMAIL, PIIKind.IP, PIIKind.PERSON, PIIKind.ADDRESS})
"""Kinds in which punctuation is part of the value. The values of all other kinds are numbers and codes."""
_KOREAN_COUNTRY_CODES = ("+82", "0082")


class PlaceholdersUnavailable(SecurityError):
    """The store does not answer. The caller may try again."""

    error: ClassVar[str] = "temporarily_unavailable"


class PlaceholderLimitReached(ToolPolicyError):
    """The owner has the largest allowed number of placeholders."""

    error: ClassVar[str] = "placeholder_limit_reached"

    def __init__(self, per_owner: int) -> None:
        super().__init__(
            f"you have {per_owner} placeholders for personal data, the largest allowed number",
            hint="request less data, or wait until unused placeholders have expired",
        )


class PersonalValue(NamedTuple):
    """A value in one spelling, so that different spellings of it have the same placeholder."""

    kind: PIIKind
    canonical: str

    @classmethod
    def of(cls, kind: PIIKind, written: str) -> "PersonalValue":
        """The value of a kind that is written in this way."""
        if kind in _EXACT_KINDS:
            return cls(kind, written)
        plain = " ".join(normalize(written).text.casefold().split())
        if kind in _KINDS_WITH_WORDS:
            return cls(kind, plain)
        code = "".join(filter(str.isalnum, plain))
        for prefix in _KOREAN_COUNTRY_CODES:
            if kind is PIIKind.PHONE and plain.startswith(prefix):
                national = code.removeprefix(prefix.removeprefix("+"))
                code = f"0{national.removeprefix('0')}"
        return cls(kind, code or plain)


class PlaceholderStore(Protocol):
    """Keeps the placeholders of all owners. Every method raises PlaceholdersUnavailable if the store does not answer.

    The number of round trips to a server does not depend on the number of values.
    """

    async def assign(self, owner: str, values: Mapping[PersonalValue, str]) -> Mapping[PersonalValue, str]:
        """The placeholder of each value. The texts are the values as they were written.

        Raises PlaceholderLimitReached; then the new values get no placeholder.
        """
        ...

    async def resolve(
        self, owner: str, placeholders: Collection[str], *, reveal: Collection[PIIKind]
    ) -> Mapping[str, str | None]:
        """The value of each placeholder as it was first written, or None if its kind is not in `reveal`.

        Placeholders that the owner does not have are left out.
        """
        ...

    async def forget(self, owner: str) -> None:
        """Deletes all placeholders of an owner, for example when the access of a person ends."""
        ...


@dataclass(slots=True)
class _StoredValue:
    value: PersonalValue
    written: str
    expires_at_seconds: float


@dataclass(slots=True)
class _Owner:
    placeholders: dict[PersonalValue, str] = field(default_factory=dict[PersonalValue, str])
    values: OrderedDict[str, _StoredValue] = field(default_factory=OrderedDict[str, _StoredValue])
    """By placeholder, the one that expires first in front."""


class InMemoryPlaceholderStore:
    """A store in the memory of this process, for a program without Redis. Its placeholders end with the process.

    It keeps at most `max_values` values: beyond that, the owner who was not active for the longest time is forgotten.
    """

    def __init__(
        self,
        *,
        lifetime_seconds: float = DEFAULT_LIFETIME_SECONDS,
        per_owner: int = DEFAULT_PER_OWNER,
        max_values: int = DEFAULT_IN_MEMORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime_seconds = lifetime_seconds
        self._per_owner = per_owner
        self._max_values = max_values
        self._clock = clock
        self._owners: OrderedDict[str, _Owner] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()  # tools may run on the event loops of several threads

    async def assign(self, owner: str, values: Mapping[PersonalValue, str]) -> Mapping[PersonalValue, str]:
        """See PlaceholderStore."""
        with self._lock:
            state = self._owners.setdefault(owner, _Owner())
            self._owners.move_to_end(owner)
            self._drop_expired(state)
            new = values.keys() - state.placeholders.keys()
            if len(state.values) + len(new) > self._per_owner:
                raise PlaceholderLimitReached(self._per_owner)
            expires_at_seconds = self._clock() + self._lifetime_seconds
            for value, written in values.items():
                placeholder = state.placeholders.get(value)
                if placeholder is None:
                    placeholder = _unused_placeholder(value.kind, state)
                    state.placeholders[value] = placeholder
                    state.values[placeholder] = _StoredValue(value, written, expires_at_seconds)
                state.values[placeholder].expires_at_seconds = expires_at_seconds
                state.values.move_to_end(placeholder)
            self._count += len(new)
            self._drop_inactive_owners()
            return {value: state.placeholders[value] for value in values}

    async def resolve(
        self, owner: str, placeholders: Collection[str], *, reveal: Collection[PIIKind]
    ) -> Mapping[str, str | None]:
        """See PlaceholderStore."""
        with self._lock:
            state = self._owners.get(owner)
            if state is None:
                return {}
            self._drop_expired(state)
            known = {name: state.values[name] for name in placeholders if name in state.values}
            return {name: stored.written if stored.value.kind in reveal else None for name, stored in known.items()}

    async def forget(self, owner: str) -> None:
        """See PlaceholderStore."""
        with self._lock:
            self._drop_owner(owner)

    def _drop_expired(self, state: _Owner) -> None:
        now_seconds = self._clock()
        while state.values:
            placeholder, stored = next(iter(state.values.items()))
            if stored.expires_at_seconds > now_seconds:
                return
            del state.values[placeholder], state.placeholders[stored.value]
            self._count -= 1

    def _drop_inactive_owners(self) -> None:
        while len(self._owners) > 1:
            name, state = next(iter(self._owners.items()))
            self._drop_expired(state)
            if state.values and self._count <= self._max_values:
                return
            self._drop_owner(name)

    def _drop_owner(self, owner: str) -> None:
        state = self._owners.pop(owner, None)
        if state is not None:
            self._count -= len(state.values)


def _unused_placeholder(kind: PIIKind, state: _Owner) -> str:
    while True:
        placeholder = new_placeholder(kind)
        if placeholder not in state.values:
            return placeholder
