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
from security_common.audit.reading.detection import Detector, detection_rules
from security_common.audit.reading.report import KeyInUse, SecurityReport, security_report
from security_common.audit.reading.scenarios import SCENARIOS, Played, ScenarioUnknown, play_scenario
from security_common.audit.reading.state import TrailState, read_state
from security_common.audit.reading.trail import (
    EventFilter,
    Page,
    PagingTokenInvalid,
    each_event,
    find_event,
    read_events,
)
from security_common.audit.reading.watch import watching_trail

__all__ = [
    "SCENARIOS",
    "Alert",
    "Detector",
    "EventFilter",
    "KeyInUse",
    "Page",
    "PagingTokenInvalid",
    "Played",
    "ScenarioUnknown",
    "SecurityReport",
    "TrailState",
    "detection_rules",
    "each_event",
    "find_event",
    "play_scenario",
    "read_events",
    "read_state",
    "security_report",
    "watching_trail",
]
