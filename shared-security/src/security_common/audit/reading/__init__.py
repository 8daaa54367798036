"""Reading the audit trail: search, reports, detection, exports and verification.

    stream audit:events ──▶ search (filters, pages), trail_state ──▶ report, access_review (접속기록 점검), export
                        └─▶ live_detection ──▶ detection (rules over windows) ──▶ alerts, recorded as events
                                                   ▲
                            attack_scenarios: made-up events through the same rules
    journal files ──▶ verify (seals, links), expected_state (checkpoints, cursors, heartbeats)
                  ├─▶ bundle, with bundle_verifier: the same rules offline, with the public key alone
                  └─▶ search.each_journal_event: reports and exports of a period that the stream no longer has

The stream is a copy of the journals. The journal files and their chain are the evidence.
"""

from security_common.audit.reading.alerts import Alert
from security_common.audit.reading.attack_scenarios import SCENARIOS, ScenarioResult, ScenarioUnknown, run_scenario
from security_common.audit.reading.detection import Detector, detection_rules
from security_common.audit.reading.live_detection import live_detection
from security_common.audit.reading.report import KeyInUse, SecurityReport, security_report
from security_common.audit.reading.search import (
    EventFilter,
    Page,
    PagingTokenInvalid,
    each_event,
    find_event,
    read_events,
)
from security_common.audit.reading.trail_state import TrailState, read_trail_state

__all__ = [
    "SCENARIOS",
    "Alert",
    "Detector",
    "EventFilter",
    "KeyInUse",
    "Page",
    "PagingTokenInvalid",
    "ScenarioResult",
    "ScenarioUnknown",
    "SecurityReport",
    "TrailState",
    "detection_rules",
    "each_event",
    "find_event",
    "live_detection",
    "read_events",
    "read_trail_state",
    "run_scenario",
    "security_report",
]
