"""When a key moves on: a pure function from records and time to records."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.keys.record import KeyRecord, KeyState
from auth_service.settings import AuthSettings

__all__ = ["DRAIN_MARGIN_SECONDS", "MakeKey", "RotationPolicy", "advance", "find", "revoke"]

# Verifiers keep a key set for an hour and clocks differ: a retired key outlives its last token by this much.
DRAIN_MARGIN_SECONDS = 65 * 60


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


MakeKey = Callable[[KeyState], KeyRecord]


def advance(
    records: tuple[KeyRecord, ...], now: float, policy: RotationPolicy, make_key: MakeKey
) -> tuple[KeyRecord, ...]:
    """The records as they should be now; the same tuple when nothing is due.

    `make_key` makes a record in the given state. At most one key is active and one is next; without an active key
    (first start, or a revoked one) the next takes over at once, and without a next one a key is made.
    """
    active, following = find(records, KeyState.ACTIVE), find(records, KeyState.NEXT)
    kept = [record for record in records if not _is_drained(record, now, policy)]
    if active is None:
        promoted = following.moved(KeyState.ACTIVE, now) if following else make_key(KeyState.ACTIVE)
        kept = [promoted, *(record for record in kept if record is not following)]
        following = None
    elif following is not None and _is_due(active, following, now, policy):
        moved = {active.key_id: KeyState.RETIRING, following.key_id: KeyState.ACTIVE}
        kept = [r.moved(moved[r.key_id], now) if r.key_id in moved else r for r in kept]
        following = None
    if following is None:
        kept.append(make_key(KeyState.NEXT))
    return records if tuple(kept) == records else tuple(kept)


def revoke(records: tuple[KeyRecord, ...], key_id: str, now: float, make_key: MakeKey) -> tuple[KeyRecord, ...]:
    """The records without this key: the published next one signs at once, so verifiers need no new fetch to follow."""
    rest = tuple(record for record in records if record.key_id != key_id)
    policy = RotationPolicy(period_seconds=float("inf"), lead_seconds=0, drain_seconds=float("inf"))
    return advance(rest, now, policy, make_key)


def find(records: tuple[KeyRecord, ...], state: KeyState) -> KeyRecord | None:
    return next((record for record in records if record.state is state), None)


def _is_due(active: KeyRecord, following: KeyRecord, now: float, policy: RotationPolicy) -> bool:
    published_long_enough = now - following.changed_at_seconds >= policy.lead_seconds
    return published_long_enough and now - active.changed_at_seconds >= policy.period_seconds


def _is_drained(record: KeyRecord, now: float, policy: RotationPolicy) -> bool:
    return record.state is KeyState.RETIRING and now - record.changed_at_seconds >= policy.drain_seconds
