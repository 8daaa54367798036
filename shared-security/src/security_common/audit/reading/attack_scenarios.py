"""Attacks as events that never happened, played through the rules that watch the live trail."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from security_common.audit import Action, EventType, Outcome, Reason, RecordedEvent
from security_common.audit.journal_line import GENESIS
from security_common.audit.reading.alerts import Alert
from security_common.audit.reading.detection import Detector, detection_rules
from security_common.errors import SecurityError
from security_common.settings import SecuritySettings

__all__ = ["SCENARIOS", "ScenarioResult", "ScenarioUnknown", "run_scenario"]

SPREAD = 0.8
"""The attacks fit into this part of a rule's window."""


class ScenarioUnknown(SecurityError):
    """There is no scenario of this name."""

    error = "unknown_scenario"


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """How many events a scenario had, and what the rules said to it."""

    scenario: str
    events: int
    alerts: tuple[Alert, ...]


def run_scenario(name: str, settings: SecuritySettings, *, now: datetime) -> ScenarioResult:
    """Plays a scenario of SCENARIOS against the thresholds in force. Nothing is recorded. Raises ScenarioUnknown."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ScenarioUnknown(f"no scenario {name!r}", hint=f"one of: {', '.join(SCENARIOS)}")
    detector = Detector(detection_rules(settings))
    events = list(scenario(settings, now))
    return ScenarioResult(name, len(events), tuple(alert for event in events for alert in detector.observe(event)))


def _quiet_day(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """Ordinary work: nothing may be said to it."""
    pace = settings.detect_refusal_burst.seconds
    yield from _events(now, 20, 20.0 * pace, lambda _: {"outcome": Outcome.SUCCESS, "tool_name": "get_server_status"})


def _stolen_token(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A thief uses a refresh token that its owner has used already."""
    rule = settings.detect_refresh_reuse
    reused = {"event_type": EventType.REFRESH_REUSE, "outcome": Outcome.REFUSED}
    yield from _events(now, rule.count, rule.seconds * SPREAD, lambda _: reused)


def _secret_guessing(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """Somebody tries one client secret after another."""
    rule = settings.detect_secret_guessing
    wrong = {
        "event_type": EventType.CLIENT_REFUSED,
        "outcome": Outcome.REFUSED,
        "reason": Reason.INVALID_CLIENT,
        "user_id": None,
    }
    yield from _events(now, rule.count, rule.seconds * SPREAD, lambda _: wrong)


def _refusal_burst(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A script without the right scope keeps knocking."""
    rule = settings.detect_refusal_burst
    refused = {"outcome": Outcome.REFUSED, "reason": Reason.INSUFFICIENT_SCOPE, "tool_name": "read_sensitive_data"}
    yield from _events(now, rule.count, rule.seconds * SPREAD, lambda _: refused)


def _tool_enumeration(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """A caller walks through the tools to see which door is open."""
    rule = settings.detect_tool_enumeration
    refused = {"outcome": Outcome.REFUSED, "reason": Reason.INSUFFICIENT_SCOPE}
    yield from _events(now, rule.count, rule.seconds * SPREAD, lambda number: refused | {"tool_name": f"tool_{number}"})


def _bulk_export(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """An insider reads one person's record after another: volume and number of people both stand out."""
    people, volume = settings.detect_many_subjects, settings.detect_pii_volume
    findings = -(-volume.count // people.count)
    yield from _events(
        now,
        people.count,
        min(people.seconds, volume.seconds) * SPREAD,
        lambda number: {
            "outcome": Outcome.SUCCESS,
            "tool_name": "get_user_info",
            "contains_pii": True,
            "pii_kinds": {"phone": findings},
            "subject_reference": f"subject-{number}",
            "task": "view",
        },
    )


def _journal_gap(settings: SecuritySettings, now: datetime) -> Iterator[RecordedEvent]:
    """Somebody cut events out of the trail."""
    first, second = list(_events(now, 2, settings.detect_journal_gap.seconds * SPREAD, lambda _: {}))
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
"""Name to the events of it, ending `now`; the docstring of each says what happens."""


def _events(
    now: datetime, count: int, span_seconds: float, members: Callable[[int], Mapping[str, Any]]
) -> Iterator[RecordedEvent]:
    """`count` events spread evenly over the `span_seconds` before `now`, from one made-up caller."""
    for number in range(1, count + 1):
        told: dict[str, Any] = {
            "event_type": EventType.TOOL_CALL,
            "action_taken": Action.SIMULATED,
            "outcome": Outcome.SUCCESS,
            "user_id": "u_simulated",
            "client_id": "simulated-client",
            "source_address": "192.0.2.1",  # RFC 5737: an address that is nobody's
        }
        told.update(members(number))
        yield RecordedEvent(
            **told,
            timestamp=now - timedelta(seconds=span_seconds * (count - number) / count),
            event_id=f"simulated-{number}",
            journal_id="simulated",
            seq=number,
            prev=GENESIS,
            hash=GENESIS,
            service="simulation",
        )
