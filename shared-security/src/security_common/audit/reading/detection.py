"""The detection rules and the windows that they count in.

    event ──▶ rule.observe: group and weight, or group and name ──▶ window of the group, the last N seconds
              sum of the weights, or number of different names    ──▶ reaches the threshold: Alert

The rules depend on nothing but the events, so recorded events and made-up scenarios are processed by the same code.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from security_common.audit import Action, EventType, Outcome, Reason, RecordedEvent
from security_common.audit.reading.alerts import Alert, DetectionRule
from security_common.edge.client_address import network_of
from security_common.settings import SecuritySettings, Threshold

__all__ = ["Detector", "Rule", "detection_rules"]

WATCHED_GROUPS = 10_000
"""The number of groups that a rule remembers. The groups that have been quiet longest are dropped first, so that a
flood of different names cannot fill the memory."""

WATCHED_OBSERVATIONS = 10_000
"""The number of observations that a window remembers, for the same reason."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a rule counts of one event: for which group, and a weight or (for `distinct` rules) a name."""

    group: str
    weight: int = 1
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`observe` returns None if the rule does not apply to an event.

    `distinct` rules count the different names in the window; the others add up the weights.
    """

    name: DetectionRule
    threshold: Threshold
    observe: Callable[[RecordedEvent], Observation | None]
    distinct: bool = False


@dataclass(slots=True)
class _Burst:
    """A period above a rule's threshold: its start, the count so far, and the time of the last alert."""

    since: datetime
    count: int
    reported_at: datetime


@dataclass(slots=True)
class _Window:
    """The recent observations of one group: their total weight, or how often each name occurs.

    Most groups have one observation. A list needs less memory than a deque, which starts with 64 places.
    """

    distinct: bool
    observations: list[tuple[datetime, Observation]] = field(default_factory=list[tuple[datetime, Observation]])
    total: int = 0
    names: dict[str, int] = field(default_factory=dict[str, int])
    burst: _Burst | None = None

    @property
    def value(self) -> int:
        """The value that is compared with the rule's threshold."""
        return len(self.names) if self.distinct else self.total

    def add(self, moment: datetime, observation: Observation) -> None:
        self.observations.append((moment, observation))
        if self.distinct:
            self.names[observation.name] = self.names.get(observation.name, 0) + 1
        else:
            self.total += observation.weight

    def drop_before(self, moment: datetime, seconds: float) -> None:
        """Drops observations that are `seconds` older than `moment`, and those above the limit of a window."""
        expired = 0
        for observed_at, _ in self.observations:
            if not _has_passed(observed_at, moment, seconds):
                break
            expired += 1
        dropped = max(expired, len(self.observations) - WATCHED_OBSERVATIONS)
        for _, observation in self.observations[:dropped]:
            self._subtract(observation)
        del self.observations[:dropped]

    def _subtract(self, observation: Observation) -> None:
        if not self.distinct:
            self.total -= observation.weight
            return
        self.names[observation.name] -= 1
        if self.names[observation.name] == 0:
            del self.names[observation.name]


class Detector:
    """Applies rules to events in the order in which they come. It keeps windows, but no content of events."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._windows: dict[str, OrderedDict[str, _Window]] = {rule.name: OrderedDict() for rule in self._rules}

    def observe(self, event: RecordedEvent) -> list[Alert]:
        """The alerts of this event: one when a burst begins, and one for each window while the burst continues."""
        alerts: list[Alert] = []
        for rule in self._rules:
            alert = self._apply(rule, event)
            if alert is not None:
                alerts.append(alert)
        return alerts

    def _apply(self, rule: Rule, event: RecordedEvent) -> Alert | None:
        observation = rule.observe(event)
        if observation is None:
            return None
        windows = self._windows[rule.name]
        # The window moves to the end: the groups that have been quiet longest come first.
        window = windows.pop(observation.group, None) or _Window(rule.distinct)
        windows[observation.group] = window
        window.add(event.timestamp, observation)
        window.drop_before(event.timestamp, rule.threshold.seconds)
        _drop_quiet_groups(windows, event.timestamp, rule.threshold.seconds)
        if window.value < rule.threshold.count:
            window.burst = None
            return None
        return _report_burst(rule, window, observation, event)


def _report_burst(rule: Rule, window: _Window, observation: Observation, event: RecordedEvent) -> Alert | None:
    """The alert for a burst that begins, or that continues and was last reported one window ago."""
    burst = window.burst
    continues = burst is not None
    if burst is None:
        since = window.observations[0][0] if window.observations else event.timestamp
        burst = _Burst(since, window.value, event.timestamp)
        window.burst = burst
    else:
        # The different names of a whole burst are not remembered, only those of the window.
        burst.count = window.value if rule.distinct else burst.count + observation.weight
        if not _has_passed(burst.reported_at, event.timestamp, rule.threshold.seconds):
            return None
        burst.reported_at = event.timestamp
    return Alert(
        rule=rule.name,
        group=observation.group,
        value=burst.count,
        threshold=rule.threshold,
        since=burst.since,
        trigger=event,
        continues=continues,
    )


def _has_passed(earlier: datetime, moment: datetime, seconds: float) -> bool:
    return (moment - earlier).total_seconds() >= seconds


def _drop_quiet_groups(windows: OrderedDict[str, _Window], moment: datetime, seconds: float) -> None:
    """Drops windows without recent observations, and those above the limit of groups."""
    while windows:
        quietest = next(iter(windows.values()))
        if len(windows) <= WATCHED_GROUPS and not _has_passed(quietest.observations[-1][0], moment, seconds):
            return
        windows.popitem(last=False)


def detection_rules(settings: SecuritySettings) -> tuple[Rule, ...]:
    """The rules with the thresholds of the settings.

    Call this once for each Detector: the last rule keeps the sequence numbers that it has seen.
    """
    return (
        Rule(DetectionRule.REFUSAL_BURST, settings.detect_refusal_burst, _refusal),
        Rule(DetectionRule.SECRET_GUESSING, settings.detect_secret_guessing, _failed_authentication),
        Rule(DetectionRule.REFRESH_TOKEN_REUSE, settings.detect_refresh_reuse, _refresh_token_reuse),
        Rule(DetectionRule.PII_VOLUME_USER, settings.detect_pii_volume, _pii_by_user),
        Rule(DetectionRule.PII_VOLUME_CLIENT, settings.detect_pii_volume_client, _pii_by_client),
        Rule(DetectionRule.MANY_SUBJECTS, settings.detect_many_subjects, _accessed_subject, distinct=True),
        Rule(DetectionRule.TOOL_ENUMERATION, settings.detect_tool_enumeration, _refused_tool, distinct=True),
        Rule(DetectionRule.JOURNAL_GAP, settings.detect_journal_gap, _JournalGaps().observe),
    )


def _refusal(event: RecordedEvent) -> Observation | None:
    return Observation(_source_of(event)) if event.outcome is Outcome.REFUSED else None


_AUTHENTICATION_FAILURES = frozenset({Reason.INVALID_CLIENT, Reason.WRONG_PASSWORD, Reason.TOO_MANY_FAILURES})


def _failed_authentication(event: RecordedEvent) -> Observation | None:
    """A wrong client secret counts for the client if it is known; a wrong password counts for its source."""
    if event.outcome is not Outcome.REFUSED or event.reason not in _AUTHENTICATION_FAILURES:
        return None
    # A password belongs to a user, not to the client through which it was entered.
    if event.reason == Reason.INVALID_CLIENT and event.client_id:
        return Observation(f"client {event.client_id}")
    return Observation(_source_of(event))


def _refresh_token_reuse(event: RecordedEvent) -> Observation | None:
    if event.outcome is not Outcome.REFUSED or event.event_type != EventType.REFRESH_REUSE:
        return None
    return Observation(f"user {event.user_id}" if event.user_id else f"client {event.client_id}")


def _pii_by_user(event: RecordedEvent) -> Observation | None:
    findings = sum(event.pii_kinds.values())
    return Observation(_caller_of(event), weight=findings) if findings and event.user_id else None


def _pii_by_client(event: RecordedEvent) -> Observation | None:
    findings = sum(event.pii_kinds.values())
    return Observation(f"client {event.client_id}", weight=findings) if findings and event.client_id else None


def _accessed_subject(event: RecordedEvent) -> Observation | None:
    if not (event.subject_reference and event.user_id) or event.outcome is not Outcome.SUCCESS:
        return None
    return Observation(_caller_of(event), name=event.subject_reference)


def _refused_tool(event: RecordedEvent) -> Observation | None:
    """A refused tool counts once. A tool that does not exist is recorded without its name, and counts each time."""
    if event.outcome is not Outcome.REFUSED or not (event.tool_name or event.reason == Reason.UNKNOWN_COMPONENT):
        return None
    group = _caller_of(event) if event.user_id else _source_of(event)
    return Observation(group, name=event.tool_name or event.event_id)


def _caller_of(event: RecordedEvent) -> str:
    """The user, or a client that acts on its own behalf: its token has the client as subject (RFC 9068 section 3)."""
    return f"client {event.client_id}" if event.user_id == event.client_id else f"user {event.user_id}"


def _source_of(event: RecordedEvent) -> str:
    return f"address {network_of(event.source_address)}" if event.source_address else f"client {event.client_id}"


class _JournalGaps:
    """Remembers the last sequence number of each journal, and counts the lines that are missing after it."""

    def __init__(self) -> None:
        self._last_seq: OrderedDict[str, int] = OrderedDict()

    def observe(self, event: RecordedEvent) -> Observation | None:
        last_seq = self._last_seq.pop(event.journal_id, None)
        self._last_seq[event.journal_id] = max(event.seq, last_seq or 0)
        if len(self._last_seq) > WATCHED_GROUPS:
            self._last_seq.popitem(last=False)
        missing = 0 if last_seq is None else event.seq - last_seq - 1
        was_replaced = event.event_type == EventType.JOURNAL_OPENED and event.action_taken == Action.REPLACED
        if missing <= 0 and not was_replaced:
            return None
        return Observation(f"journal {event.journal_id}", weight=max(missing, 1))
