"""A signing key as it is kept, and the JSON of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

__all__ = ["KeyRecord", "KeyState", "dump_records", "load_records"]


class KeyState(StrEnum):
    """A removed key has no record any more."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key. Times are seconds since the epoch; `changed_at_seconds` is when it came into its state.

    `sealed_private_key` is the PEM encrypted under the KEK; it is dropped on retirement, when only verifying is left.
    `public_jwk` is what the key set publishes.
    """

    key_id: str
    state: KeyState
    public_jwk: Mapping[str, Any]
    sealed_private_key: str | None = field(repr=False)
    created_at_seconds: float
    changed_at_seconds: float

    def moved(self, state: KeyState, now: float) -> "KeyRecord":
        """The same key in another state; a retiring key loses its private half."""
        private = None if state is KeyState.RETIRING else self.sealed_private_key
        return replace(self, state=state, changed_at_seconds=now, sealed_private_key=private)


def dump_records(records: tuple[KeyRecord, ...]) -> str:
    return json.dumps([asdict(record) for record in records], separators=(",", ":"))


def load_records(document: str) -> tuple[KeyRecord, ...]:
    found: list[dict[str, Any]] = json.loads(document)
    return tuple(KeyRecord(state=KeyState(members.pop("state")), **members) for members in found)
