"""The audit event: the seven fields of the original demo, and what Korean law asks of access records (접속기록)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["AuditEvent", "Outcome"]


class Outcome(StrEnum):
    """How an audited operation ended; a security alert is none, and has a value of its own."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILURE = "failure"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What a room hands to `Journal.record`; the journal adds timestamp, ids, sequence and chain.

    No field ever holds a payload value, a token or a secret. `user_id` is the token's `sub`; `pii_kinds` counts
    findings per kind; `subject_reference` is a keyed reference to the person whose data was touched; `task` is what
    was done with it (`view`, `store`, `change`, `delete`, `download`); `duration_ms` is wall time in milliseconds.
    `alert` is what a detection rule counted, about whom (security_common.audit.reading.alerts).
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
    reason: str | None = None
    source_address: str | None = None
    subject_reference: str | None = None
    task: str | None = None
    trace_id: str | None = None
    duration_ms: float | None = None
    alert: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
