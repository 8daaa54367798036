"""The audit event: what happened, and the fields that Korean law requires of access records (접속기록)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["AuditEvent", "Outcome"]


class Outcome(StrEnum):
    """How an operation ended. A security alert is not an operation and has its own value."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILURE = "failure"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """The argument of `Journal.record`. The journal adds the time, the ids, the sequence number and the chain.

    No field may contain a payload value, a token or a secret. `event_type` is an `EventType`, `action_taken` an
    `Action`, and `reason` a `Reason` or a text; they are typed as strings because recorded events of other releases
    are read into the same fields. `user_id` is the token's `sub`. `pii_kinds` counts findings per kind, and
    `revealed_kinds` counts the placeholders whose values a tool received. `subject_reference` is a keyed reference to
    the person whose data was accessed, and `task` is what was done with it: `view`, `store`, `change`, `delete` or
    `download`. `duration_ms` is wall time in milliseconds. `alert` has the details of a security alert
    (security_common.audit.reading.alerts).
    """

    event_type: str
    action_taken: str
    outcome: Outcome
    tool_name: str | None = None
    user_id: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    contains_pii: bool = False
    pii_kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    revealed_kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    reason: str | None = None
    source_address: str | None = None
    subject_reference: str | None = None
    task: str | None = None
    trace_id: str | None = None
    duration_ms: float | None = None
    alert: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
