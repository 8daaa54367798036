"""Reading the trail.

    stream audit:events ──▶ trail (filters, pages), state ──▶ report, access_records (접속기록 점검), export
                        └─▶ watch ──▶ detection (rules over windows) ──▶ alerts, events of their own
                                          ▲
                                      scenarios: the same rules, played
    journal files ──▶ verify (seals, links), anchors (checkpoints, cursors)
                  └─▶ bundle + bundle_verifier: the same offline, with the public key alone

What the stream shows is a projection of the journals; the evidence is the journal files with their chain.
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
