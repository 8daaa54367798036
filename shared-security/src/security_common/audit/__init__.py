"""The audit trail: a journal on local disk, written before an operation is answered, and the Redis stream fed from it.

    Journal.record(event) ──▶ GroupCommit: seal, write, sync ──▶ Receipt ──▶ the operation is answered
                                    │ security_audit.log: segments, one slot for each process
                                    ▼
                              BackgroundTasks: Shipper and ship.lua ──▶ Redis stream audit:events
                                               checkpoints, heartbeats, retention

| module | content |
|---|---|
| `event`, `event_types`, `actions`, `reasons` | what is recorded, and its codes |
| `journal` | record an event; start and stop of a journal |
| `group_commit` | the writer thread, and the error when the journal cannot be written |
| `journal_line` | one event as a line with seal and link |
| `journal_slot`, `segment_files` | the files of a journal, and recovery after a crash |
| `background_tasks` | everything that a journal does besides recording |
| `stream_shipping`, `idle_journals` | journal lines into the stream, each exactly once |
| `stream_trimming`, `segment_retention` | what is removed, and when |
| `checkpoints`, `heartbeats` | proof that nothing was changed or lost |
| `chain_key`, `journal_options` | key and options of a journal |
| `refusal_limits` | how many refusals are recorded |
| `reading` | search, verification, reports, detection, exports |
| `event_index` | the events of the whole retention in SQLite, for search and reports of a service |

docs/audit.md describes what is guaranteed and what is not.
"""

from security_common.audit.actions import Action
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.group_commit import JournalUnavailable, Receipt
from security_common.audit.journal import Journal, open_journal
from security_common.audit.journal_line import RecordedEvent
from security_common.audit.journal_slot import link_audit_log
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
