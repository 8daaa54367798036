"""Made-up events of attacks, which are processed by the same rules as recorded events. Nothing is recorded."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from security_common.audit import Action, EventType, Outcome, Reason, RecordedEvent
from security_common.audit.journal_line import DIGEST_BEFORE_FIRST_LINE
from security_common.audit.reading.alerts import Alert
from security_common.audit.reading.detection import Detector, detection_rules
from security_common.errors import SecurityError
from security_common.settings import SecuritySettings

__all__ = ["SCENARIOS", "ScenarioResult", "ScenarioUnknown", "run_scenario"]

WINDOW_PART = 0.8
"""The events of an attack fit into this part of a rule's window."""


class ScenarioUnknown(SecurityError):
    """There is no scenario of this name."""

    error = "unknown_scenario"


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The number of events of a scenario, and the alerts of the rules."""

    scenario: str
    events: int
    alerts: tuple[Alert, ...]


def run_scenario(name: str, settings: SecuritySettings, *, now: datetime) -> ScenarioResult:
    """Applies the rules with the current thresholds to a scenario of SCENARIOS. Raises ScenarioUnknown."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ScenarioUnknown(f"there is no scenario {name!r}", hint=f"use one of: {', '.join(SCENARIOS)}")
    detector = Detector(detection_rules(settings))
    events = list(scenario(settings, now))
    alerts: list[Alert] = []
    for event in events:
        alerts += detector.observe(event)
    return ScenarioResult(name, len(events), tuple(alerts))


def _quiet_day(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """Ordinary work, which must not cause an alert."""
    seconds_between = settings.detect_refusal_burst.seconds
    ordinary = {"outcome": Outcome.SUCCESS, "tool_name": "get_server_status"}
    yield from _events(now, 20, 20.0 * seconds_between, lambda _: ordinary)


def _stolen_token(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A thief uses a refresh token that its owner has already used."""
    rule = settings.detect_refresh_reuse
    reused = {"event_type": EventType.REFRESH_REUSE, "outcome": Outcome.REFUSED}
    yield from _events(now, rule.count, rule.seconds * WINDOW_PART, lambda _: reused)


def _secret_guessing(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """An attacker tries one client secret after another."""
    rule = settings.detect_secret_guessing
    wrong = {
        "event_type": EventType.CLIENT_REFUSED,
        "outcome": Outcome.REFUSED,
        "reason": Reason.INVALID_CLIENT,
        "user_id": None,
    }
    yield from _events(now, rule.count, rule.seconds * WINDOW_PART, lambda _: wrong)


def _refusal_burst(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A script without the required scope repeats its requests."""
    rule = settings.detect_refusal_burst
    refused = {"outcome": Outcome.REFUSED, "reason": Reason.INSUFFICIENT_SCOPE, "tool_name": "read_sensitive_data"}
    yield from _events(now, rule.count, rule.seconds * WINDOW_PART, lambda _: refused)


def _tool_enumeration(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A caller tries one tool after another to find out which it may use."""
    rule = settings.detect_tool_enumeration
    refused = {"outcome": Outcome.REFUSED, "reason": Reason.INSUFFICIENT_SCOPE}
    yield from _events(
        now, rule.count, rule.seconds * WINDOW_PART, lambda number: refused | {"tool_name": f"tool_{number}"}
    )


def _bulk_export(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """An insider reads the data of one person after another: the volume and the number of people are unusual."""
    people, volume = settings.detect_many_subjects, settings.detect_pii_volume
    findings = math.ceil(volume.count / people.count)
    yield from _events(
        now,
        people.count,
        min(people.seconds, volume.seconds) * WINDOW_PART,
        lambda number: {
            "outcome": Outcome.SUCCESS,
            "tool_name": "get_user_info",
            "contains_pii": True,
            "pii_kinds": {"PHONE": findings},
            "subject_reference": f"subject-{number}",
            "task": "view",
        },
    )


def _journal_gap(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """Events were removed from the audit trail."""
    first, second = list(_events(now, 2, settings.detect_journal_gap.seconds * WINDOW_PART, lambda _: {}))
    yield first
    yield replace(second, seq=second.seq + settings.detect_journal_gap.count)


SCENARIOS: Mapping[str, Callable[[SecuritySettings, datetime], Iterator[RecordedEvent]]] = {
    "quiet_day": _quiet_day,
    "stolen_refresh_token": _stolen_token,
    "secret_guessing": _secret_guessing,
    "refusal_burst": _refusal_burst,
    "tool_enumeration": _tool_enumeration,
    "bulk_export": _bulk_export,
    "journal_gap": _journal_gap,
}
"""The events of each scenario, ending `now`. The docstrings describe the scenarios to users of the simulation tool."""


def _events(
    now: datetime, count: int, span_seconds: float, members: Callable[[int], Mapping[str, Any]]
) -> Iterator[RecordedEvent]:
    """`count` events of one made-up caller, spread evenly over the `span_seconds` before `now`."""
    for number in range(1, count + 1):
        event: dict[str, Any] = {
            "event_type": EventType.TOOL_CALL,
            "action_taken": Action.SIMULATED,
            "outcome": Outcome.SUCCESS,
            "user_id": "u_simulated",
            "client_id": "simulated-client",
            "source_address": "192.0.2.1",  # reserved for documentation (RFC 5737)
        }
        event.update(members(number))
        yield RecordedEvent(
            **event,
            timestamp=now - timedelta(seconds=span_seconds * (count - number) / count),
            event_id=f"simulated-{number}",
            journal_id="simulated",
            seq=number,
            prev=DIGEST_BEFORE_FIRST_LINE,
            hash=DIGEST_BEFORE_FIRST_LINE,
            service="simulation",
        )
