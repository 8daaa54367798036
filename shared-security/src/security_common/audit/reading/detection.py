"""Detection rules: each looks at one kind of event, groups by who did it, and speaks when a window holds too much.

    event ──▶ rule.match: (who, what) ──▶ window of the last N seconds per who ──▶ sum or number of different whats
                                                                                     reaches the threshold: Alert

The rules are pure functions of the events, so the live trail and a played scenario go through the same code.
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
"""Groups that a rule remembers within its window: more are dropped, the quietest first, so that a flood of names is
bounded in memory."""

WATCHED_OBSERVATIONS = 10_000
"""Observations one window remembers, for the same reason."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a rule sees in an event: whose window it belongs to, and a weight or (for distinct rules) a name."""

    group: str
    weight: int = 1
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`distinct` rules count different names within the window, the others add up weights.

    Each has a title and words for what it counts in `alerts`.
    """

    name: DetectionRule
    threshold: Threshold
    look: Callable[[RecordedEvent], Observation | None]
    distinct: bool = False


@dataclass(slots=True)
class _Burst:
    """What goes on above a rule's threshold: since when, how much so far, and when it was last reported."""

    since: datetime
    count: int
    reported_at: datetime


@dataclass(slots=True)
class _Window:
    """The observations of one group that are still young enough: their total weight, or how often each name occurs.

    Most groups are seen once, so a window is small while it is new: a list, not a deque, which begins with 64 places.
    """

    distinct: bool
    seen: list[tuple[datetime, Observation]] = field(default_factory=list[tuple[datetime, Observation]])
    total: int = 0
    names: dict[str, int] = field(default_factory=dict[str, int])
    burst: _Burst | None = None

    @property
    def value(self) -> int:
        """What the rule's threshold is compared with."""
        return len(self.names) if self.distinct else self.total

    def add(self, moment: datetime, observation: Observation) -> None:
        self.seen.append((moment, observation))
        if self.distinct:
            self.names[observation.name] = self.names.get(observation.name, 0) + 1
        else:
            self.total += observation.weight

    def forget_before(self, moment: datetime, seconds: float) -> None:
        """Drops what is `seconds` older than `moment`, and what is more than a window may hold."""
        young = (index for index, (seen_at, _) in enumerate(self.seen) if not _is_over(seen_at, moment, seconds))
        dropped = max(next(young, len(self.seen)), len(self.seen) - WATCHED_OBSERVATIONS)
        for _, observation in self.seen[:dropped]:
            self._subtract(observation)
        del self.seen[:dropped]

    def _subtract(self, observation: Observation) -> None:
        if not self.distinct:
            self.total -= observation.weight
            return
        self.names[observation.name] -= 1
        if self.names[observation.name] == 0:
            del self.names[observation.name]


def _is_over(seen_at: datetime, moment: datetime, seconds: float) -> bool:
    return (moment - seen_at).total_seconds() >= seconds


def _forget_quiet_groups(windows: OrderedDict[str, _Window], moment: datetime, seconds: float) -> None:
    """Drops windows in which nothing counts any more, and more of them than are watched: the quietest come first."""
    while windows:
        quietest = next(iter(windows.values()))
        if len(windows) <= WATCHED_GROUPS and not _is_over(quietest.seen[-1][0], moment, seconds):
            return
        windows.popitem(last=False)


class Detector:
    """Applies rules to events in the order they come. Holds the windows; holds nothing of an event's content."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._windows: dict[str, OrderedDict[str, _Window]] = {rule.name: OrderedDict() for rule in self._rules}

    def observe(self, event: RecordedEvent) -> list[Alert]:
        """The alerts this event sets off: one when a burst begins, and one for each window of it while it goes on."""
        judged = (self._judge(rule, event) for rule in self._rules)
        return [alert for alert in judged if alert is not None]

    def _judge(self, rule: Rule, event: RecordedEvent) -> Alert | None:
        observation = rule.look(event)
        if observation is None:
            return None
        windows = self._windows[rule.name]
        window = windows.pop(observation.group, None) or _Window(rule.distinct)
        windows[observation.group] = window
        window.add(event.timestamp, observation)
        window.forget_before(event.timestamp, rule.threshold.seconds)
        _forget_quiet_groups(windows, event.timestamp, rule.threshold.seconds)
        if window.value < rule.threshold.count:
            window.burst = None
            return None
        return _report(rule, window, observation, event)


def _report(rule: Rule, window: _Window, observation: Observation, event: RecordedEvent) -> Alert | None:
    """The alert about a burst that begins, or that goes on and was not reported for the length of a window."""
    burst, begins = window.burst, window.burst is None
    if burst is None:
        since = window.seen[0][0] if window.seen else event.timestamp
        burst = window.burst = _Burst(since, window.value, event.timestamp)
    else:
        # How many different names a whole burst had is not remembered, only those of the window.
        burst.count = window.value if rule.distinct else burst.count + observation.weight
        if not _is_over(burst.reported_at, event.timestamp, rule.threshold.seconds):
            return None
        burst.reported_at = event.timestamp
    return Alert(
        rule=rule.name,
        group=observation.group,
        value=burst.count,
        threshold=rule.threshold,
        since=burst.since,
        trigger=event,
        continues=not begins,
    )


class _GapLooker:
    """Remembers the last seq of each journal: the trail itself must not have holes."""

    def __init__(self) -> None:
        self._last_seq: OrderedDict[str, int] = OrderedDict()

    def look(self, event: RecordedEvent) -> Observation | None:
        last_seq = self._last_seq.pop(event.journal_id, None)
        self._last_seq[event.journal_id] = max(event.seq, last_seq or 0)
        if len(self._last_seq) > WATCHED_GROUPS:
            self._last_seq.popitem(last=False)
        missing = 0 if last_seq is None else event.seq - last_seq - 1
        damaged = event.event_type == EventType.JOURNAL_OPENED and event.action_taken == Action.SUCCEEDED
        if missing <= 0 and not damaged:
            return None
        return Observation(f"journal {event.journal_id}", weight=max(missing, 1))


def detection_rules(settings: SecuritySettings) -> tuple[Rule, ...]:
    """The rules with the thresholds of the settings. Make them anew for each Detector: one of them remembers."""
    return (
        Rule(DetectionRule.REFUSAL_BURST, settings.detect_refusal_burst, _refusal),
        Rule(DetectionRule.SECRET_GUESSING, settings.detect_secret_guessing, _failed_proof),
        Rule(DetectionRule.REFRESH_TOKEN_REUSE, settings.detect_refresh_reuse, _refresh_reuse),
        Rule(DetectionRule.PII_VOLUME_PERSON, settings.detect_pii_volume, _pii_by_person),
        Rule(DetectionRule.PII_VOLUME_CLIENT, settings.detect_pii_volume_client, _pii_by_client),
        Rule(DetectionRule.MANY_SUBJECTS, settings.detect_many_subjects, _subject_seen, distinct=True),
        Rule(DetectionRule.TOOL_ENUMERATION, settings.detect_tool_enumeration, _refused_tool, distinct=True),
        Rule(DetectionRule.JOURNAL_GAP, settings.detect_journal_gap, _GapLooker().look),
    )


def _refusal(event: RecordedEvent) -> Observation | None:
    return Observation(_place(event)) if event.outcome is Outcome.REFUSED else None


_FAILED_PROOFS = frozenset({Reason.INVALID_CLIENT, Reason.WRONG_PASSWORD, Reason.TOO_MANY_FAILURES})


def _failed_proof(event: RecordedEvent) -> Observation | None:
    """A wrong client secret or a wrong password, per claimed name where there is one, else per place."""
    if event.outcome is not Outcome.REFUSED or event.reason not in _FAILED_PROOFS:
        return None
    # A password is a person's, not the client's through which it was typed.
    of_client = event.reason == Reason.INVALID_CLIENT and event.client_id
    return Observation(f"client {event.client_id}" if of_client else _place(event))


def _refresh_reuse(event: RecordedEvent) -> Observation | None:
    if event.outcome is not Outcome.REFUSED or event.event_type != EventType.REFRESH_REUSE:
        return None
    return Observation(f"user {event.user_id}" if event.user_id else f"client {event.client_id}")


def _pii_by_person(event: RecordedEvent) -> Observation | None:
    found = sum(event.pii_kinds.values())
    return Observation(_caller(event), weight=found) if found and event.user_id else None


def _pii_by_client(event: RecordedEvent) -> Observation | None:
    found = sum(event.pii_kinds.values())
    return Observation(f"client {event.client_id}", weight=found) if found and event.client_id else None


def _subject_seen(event: RecordedEvent) -> Observation | None:
    if not (event.subject_reference and event.user_id) or event.outcome is not Outcome.SUCCESS:
        return None
    return Observation(_caller(event), name=event.subject_reference)


def _refused_tool(event: RecordedEvent) -> Observation | None:
    """A refused tool counts once; one that does not exist has no name on record, and counts each time."""
    if event.outcome is not Outcome.REFUSED or not (event.tool_name or event.reason == Reason.UNKNOWN_COMPONENT):
        return None
    who = _caller(event) if event.user_id else _place(event)
    return Observation(who, name=event.tool_name or event.event_id)


def _caller(event: RecordedEvent) -> str:
    """A person, or a client that acts for itself: its token names the client as its subject (RFC 9068 section 3)."""
    return f"client {event.client_id}" if event.user_id == event.client_id else f"user {event.user_id}"


def _place(event: RecordedEvent) -> str:
    return f"address {network_of(event.source_address)}" if event.source_address else f"client {event.client_id}"
