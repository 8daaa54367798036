"""When a key moves on: a pure function from records and time to records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from auth_service.settings import AuthSettings

__all__ = [
    "DRAIN_MARGIN_SECONDS",
    "MakeKey",
    "RotationPolicy",
    "SigningKeyRecord",
    "SigningKeyState",
    "advance",
    "find",
    "revoke",
]

# Verifiers keep a key set for an hour and clocks differ: a retired key outlives its last token by this much.
DRAIN_MARGIN_SECONDS = 65 * 60


class SigningKeyState(StrEnum):
    """A removed key has no record any more."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRecord:
    """One key. Times are seconds since the epoch; `changed_at_seconds` is when it came into its state.

    `sealed_private_key` is the PEM encrypted under the KEK; it is dropped on retirement, when only verifying is left.
    `public_jwk` is what the key set publishes.
    """

    key_id: str
    state: SigningKeyState
    public_jwk: Mapping[str, Any]
    sealed_private_key: str | None = field(repr=False)
    created_at_seconds: float
    changed_at_seconds: float

    def moved(self, state: SigningKeyState, now: float) -> "SigningKeyRecord":
        """The same key in another state; a retiring key loses its private half."""
        private = None if state is SigningKeyState.RETIRING else self.sealed_private_key
        return replace(self, state=state, changed_at_seconds=now, sealed_private_key=private)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """All in seconds. `lead_seconds` is how long a key is published before it signs: no shorter than verifiers cache
    keys. `drain_seconds` is how long a retired key stays published: the longest life of what it signed, and a margin.
    """

    period_seconds: float
    lead_seconds: float
    drain_seconds: float

    @classmethod
    def of(cls, settings: AuthSettings) -> "RotationPolicy":
        return cls(
            period_seconds=settings.key_period_seconds,
            lead_seconds=settings.key_lead_seconds,
            drain_seconds=settings.access_token_lifetime_seconds + DRAIN_MARGIN_SECONDS,
        )


MakeKey = Callable[[SigningKeyState], SigningKeyRecord]


def advance(
    records: tuple[SigningKeyRecord, ...], now: float, policy: RotationPolicy, make_key: MakeKey
) -> tuple[SigningKeyRecord, ...]:
    """The records as they should be now; the same tuple when nothing is due.

    `make_key` makes a record in the given state. At most one key is active and one is next; without an active key
    (first start, or a revoked one) the next takes over at once, and without a next one a key is made.
    """
    active, following = find(records, SigningKeyState.ACTIVE), find(records, SigningKeyState.NEXT)
    kept = [record for record in records if not _is_drained(record, now, policy)]
    if active is None:
        promoted = following.moved(SigningKeyState.ACTIVE, now) if following else make_key(SigningKeyState.ACTIVE)
        kept = [promoted, *(record for record in kept if record is not following)]
        following = None
    elif following is not None and _is_due(active, following, now, policy):
        moved = {active.key_id: SigningKeyState.RETIRING, following.key_id: SigningKeyState.ACTIVE}
        kept = [r.moved(moved[r.key_id], now) if r.key_id in moved else r for r in kept]
        following = None
    if following is None:
        kept.append(make_key(SigningKeyState.NEXT))
    return records if tuple(kept) == records else tuple(kept)


def revoke(
    records: tuple[SigningKeyRecord, ...], key_id: str, now: float, make_key: MakeKey
) -> tuple[SigningKeyRecord, ...]:
    """The records without this key: the published next one signs at once, so verifiers need no new fetch to follow."""
    rest = tuple(record for record in records if record.key_id != key_id)
    policy = RotationPolicy(period_seconds=float("inf"), lead_seconds=0, drain_seconds=float("inf"))
    return advance(rest, now, policy, make_key)


def find(records: tuple[SigningKeyRecord, ...], state: SigningKeyState) -> SigningKeyRecord | None:
    return next((record for record in records if record.state is state), None)


def _is_due(active: SigningKeyRecord, following: SigningKeyRecord, now: float, policy: RotationPolicy) -> bool:
    published_long_enough = now - following.changed_at_seconds >= policy.lead_seconds
    return published_long_enough and now - active.changed_at_seconds >= policy.period_seconds


def _is_drained(record: SigningKeyRecord, now: float, policy: RotationPolicy) -> bool:
    return record.state is SigningKeyState.RETIRING and now - record.changed_at_seconds >= policy.drain_seconds
