"""The audit journal: an operation is answered only after its event is on disk; the disk then feeds the stream.

    record(event) ─▶ draft_line ─▶ GroupCommit (seal, write, fdatasync) ─▶ Receipt ─▶ the answer may leave
                                        │ security_audit.log, segments, one slot per process
                                        ▼
                                   Shipper + ship.lua ─▶ Redis stream audit:events, cursors in audit:cursors

event       what happened                    record     one line, its seal and its link
slot        files, lock, recovery            commit     the writer thread
feed        lines from any seq on            shipping   exactly once into the stream
keys        the chain key                    journal    the face of it all

What is promised, and what is not, stands in docs/audit.md.
"""

from security_common.audit.actions import Action
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.group_commit import JournalUnavailable, Receipt
from security_common.audit.journal import Journal, link_audit_log, open_journal
from security_common.audit.journal_line import RecordedEvent
from security_common.audit.reasons import Reason

__all__ = [
    "Action",
    "AuditEvent",
    "EventType",
    "Journal",
    "JournalUnavailable",
    "Outcome",
    "Reason",
    "Receipt",
    "RecordedEvent",
    "link_audit_log",
    "open_journal",
]
