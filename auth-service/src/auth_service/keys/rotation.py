"""When a signing key changes its state.

Pure functions that take the key records and the time and return the new key records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from auth_service.settings import AuthSettings

__all__ = [
    "RETIRING_MARGIN_SECONDS",
    "MakeKey",
    "RotationPolicy",
    "SigningKeyRecord",
    "SigningKeyState",
    "advance",
    "find",
    "revoke",
]

# A retiring key is published for this long after its last token has expired, because the clocks of verifiers
# differ. A few minutes would be enough; 65 minutes are simply the default of `key_lead_seconds` again.
RETIRING_MARGIN_SECONDS = 65 * 60


class SigningKeyState(StrEnum):
    """The state of a published key. A removed key has no record."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRecord:
    """One key as it is stored. Times are seconds since the epoch; `changed_at_seconds` is when the state began.

    `encrypted_private_key` is the PEM encrypted under the key-encryption key (KEK). A retiring key only verifies, so it
    has none. `public_jwk` is published in the key set.
    """

    key_id: str
    state: SigningKeyState
    public_jwk: Mapping[str, Any]
    encrypted_private_key: str | None = field(repr=False)
    created_at_seconds: float
    changed_at_seconds: float

    def in_state(self, state: SigningKeyState, now: float) -> "SigningKeyRecord":
        """The same key in another state; a retiring key loses its private key."""
        private = None if state is SigningKeyState.RETIRING else self.encrypted_private_key
        return replace(self, state=state, changed_at_seconds=now, encrypted_private_key=private)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """All times in seconds.

    `period_seconds` is how long a key signs at least. `lead_seconds` is the shortest time for which a key is published
    before it replaces another active key: at least as long as verifiers cache a key set. At the first start and after a
    revocation a key signs at once. `retiring_seconds` is how long a retiring key stays published: the longest lifetime
    of the tokens it signed, and a margin.
    """

    period_seconds: float
    lead_seconds: float
    retiring_seconds: float

    @classmethod
    def of(cls, settings: AuthSettings) -> "RotationPolicy":
        return cls(
            period_seconds=settings.key_period_seconds,
            lead_seconds=settings.key_lead_seconds,
            retiring_seconds=settings.access_token_lifetime_seconds + RETIRING_MARGIN_SECONDS,
        )


MakeKey = Callable[[SigningKeyState], SigningKeyRecord]


def advance(
    records: tuple[SigningKeyRecord, ...], now: float, policy: RotationPolicy, make_key: MakeKey
) -> tuple[SigningKeyRecord, ...]:
    """The records as they should be now; the same tuple if nothing is due.

    `make_key` creates a key in the given state. At most one key is active and one is next. The next key becomes active
    when the active key has signed for `period_seconds` and the next key was published for `lead_seconds`; the former
    active key then retires. Retiring keys are removed after `retiring_seconds`. Without an active key (first start,
    after a revocation) the next key becomes active at once, or a new key if there is none. A missing next key is
    created.
    """
    active, next_key = find(records, SigningKeyState.ACTIVE), find(records, SigningKeyState.NEXT)
    kept = [record for record in records if not _is_due_for_removal(record, now, policy)]
    if active is None:
        promoted = next_key.in_state(SigningKeyState.ACTIVE, now) if next_key else make_key(SigningKeyState.ACTIVE)
        kept = [promoted, *(record for record in kept if record is not next_key)]
        next_key = None
    elif next_key is not None and _is_rotation_due(active, next_key, now, policy):
        retiring = active.in_state(SigningKeyState.RETIRING, now)
        promoted = next_key.in_state(SigningKeyState.ACTIVE, now)
        replacements = {active.key_id: retiring, next_key.key_id: promoted}
        kept = [replacements.get(record.key_id, record) for record in kept]
        next_key = None
    if next_key is None:
        kept.append(make_key(SigningKeyState.NEXT))
    return records if tuple(kept) == records else tuple(kept)


def revoke(
    records: tuple[SigningKeyRecord, ...], key_id: str, now: float, make_key: MakeKey
) -> tuple[SigningKeyRecord, ...]:
    """The records without this key. If it was active, the next key signs at once.

    Verifiers have the next key unless it was published less than the lead time ago; a leaked key is the greater risk.
    """
    rest = tuple(record for record in records if record.key_id != key_id)
    # With this policy nothing else becomes due.
    policy = RotationPolicy(period_seconds=float("inf"), lead_seconds=0, retiring_seconds=float("inf"))
    return advance(rest, now, policy, make_key)


def find(records: tuple[SigningKeyRecord, ...], state: SigningKeyState) -> SigningKeyRecord | None:
    return next((record for record in records if record.state is state), None)


def _is_rotation_due(active: SigningKeyRecord, next_key: SigningKeyRecord, now: float, policy: RotationPolicy) -> bool:
    published_long_enough = now - next_key.changed_at_seconds >= policy.lead_seconds
    return published_long_enough and now - active.changed_at_seconds >= policy.period_seconds


def _is_due_for_removal(record: SigningKeyRecord, now: float, policy: RotationPolicy) -> bool:
    return record.state is SigningKeyState.RETIRING and now - record.changed_at_seconds >= policy.retiring_seconds
