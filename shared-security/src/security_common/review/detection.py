"""Detection rules: each looks at one kind of event, groups by who did it, and speaks when a window holds too much.

    event ──▶ rule.match: (who, what) ──▶ window of the last N seconds per who ──▶ sum or number of different whats
                                                                                     over the threshold: Alert

The rules are pure functions of the events, so the live trail and a played scenario go through the same code.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from security_common.addresses import network_of
from security_common.journal import AuditEvent, Outcome, RecordedEvent
from security_common.settings import SecuritySettings, Threshold

__all__ = ["ALERT_EVENT_TYPE", "Alert", "Detector", "Rule", "detection_rules"]

ALERT_EVENT_TYPE = "security_alert"

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
    """`distinct` rules count different names within the window, the others add up weights."""

    name: str
    title: str
    threshold: Threshold
    look: Callable[[RecordedEvent], Observation | None]
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule's verdict on one group. `value` reached the threshold between `since` and `until`."""

    rule: str
    title: str
    group: str
    value: int
    threshold: Threshold
    since: datetime
    until: datetime
    trigger: RecordedEvent

    def as_event(self) -> AuditEvent:
        """The alert as an event of its own; who and where come from the event that tipped it.

        It is a success without personal data, so that no rule sees anything in it but the one for gaps in numbering.
        """
        return AuditEvent(
            event_type=ALERT_EVENT_TYPE,
            action_taken="alerted",
            outcome=Outcome.SUCCESS,
            reason=self.rule,
            task=f"{self.group}: {self.value} within {self.threshold.seconds} s",
            tool_name=self.trigger.tool_name,
            user_id=self.trigger.user_id,
            issuer=self.trigger.issuer,
            client_id=self.trigger.client_id,
            source_address=self.trigger.source_address,
            trace_id=self.trigger.trace_id,
        )


@dataclass(slots=True)
class _Window:
    """The observations of one group that are still young enough: their total weight, or how often each name occurs.

    Most groups are seen once, so a window is small while it is new: a list, not a deque, which begins with 64 places.
    """

    distinct: bool
    seen: list[tuple[datetime, Observation]] = field(default_factory=list[tuple[datetime, Observation]])
    total: int = 0
    names: dict[str, int] = field(default_factory=dict[str, int])

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
        """The alerts this event sets off. After an alert the group's window starts empty: one burst, one alert."""
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
        value = window.value
        if value < rule.threshold.count:
            return None
        del windows[observation.group]
        since = window.seen[0][0] if window.seen else event.timestamp
        return Alert(
            rule.name, rule.title, observation.group, value, rule.threshold, since, event.timestamp, trigger=event
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
        damaged = event.event_type == "journal_opened" and event.action_taken == "succeeded"
        if missing <= 0 and not damaged:
            return None
        return Observation(f"journal {event.journal_id}", weight=max(missing, 1))


def detection_rules(settings: SecuritySettings) -> tuple[Rule, ...]:
    """The rules with the thresholds of the settings. Make them anew for each Detector: one of them remembers."""
    return (
        Rule(
            "refusal_burst",
            "Many refusals from one place · 한 곳에서 반복된 거부",
            settings.detect_refusal_burst,
            _refusal,
        ),
        Rule(
            "secret_guessing",
            "Guessing a secret or password · 비밀번호 추측",
            settings.detect_secret_guessing,
            _failed_proof,
        ),
        Rule(
            "refresh_token_reuse",
            "A used refresh token came back · 사용된 갱신 토큰의 재사용",
            settings.detect_refresh_reuse,
            _refresh_reuse,
        ),
        Rule(
            "pii_volume_person",
            "Unusual volume of personal data by one person · 한 사용자의 과다한 개인정보 처리",
            settings.detect_pii_volume,
            _pii_by_person,
        ),
        Rule(
            "pii_volume_client",
            "Unusual volume of personal data by one client · 한 클라이언트의 과다한 개인정보 처리",
            settings.detect_pii_volume_client,
            _pii_by_client,
        ),
        Rule(
            "many_subjects",
            "One person looks at many people's data · 한 사용자의 다수 정보주체 조회",
            settings.detect_many_subjects,
            _subject_seen,
            distinct=True,
        ),
        Rule(
            "tool_enumeration",
            "Trying tools one after another · 도구 탐색",
            settings.detect_tool_enumeration,
            _refused_tool,
            distinct=True,
        ),
        Rule("journal_gap", "The record has a gap · 감사 기록의 공백", settings.detect_journal_gap, _GapLooker().look),
    )


def _refusal(event: RecordedEvent) -> Observation | None:
    return Observation(_place(event)) if event.outcome is Outcome.REFUSED else None


_FAILED_PROOFS = frozenset({"invalid_client", "wrong_password", "too_many_failures"})


def _failed_proof(event: RecordedEvent) -> Observation | None:
    """A wrong client secret or a wrong password, per claimed name where there is one, else per place."""
    if event.outcome is not Outcome.REFUSED or event.reason not in _FAILED_PROOFS:
        return None
    # A password is a person's, not the client's through which it was typed.
    of_client = event.reason == "invalid_client" and event.client_id
    return Observation(f"client {event.client_id}" if of_client else _place(event))


def _refresh_reuse(event: RecordedEvent) -> Observation | None:
    if event.outcome is not Outcome.REFUSED or event.event_type != "refresh_reuse":
        return None
    return Observation(f"user {event.user_id}" if event.user_id else f"client {event.client_id}")


def _pii_by_person(event: RecordedEvent) -> Observation | None:
    found = sum(event.pii_kinds.values())
    return Observation(f"user {event.user_id}", weight=found) if found and event.user_id else None


def _pii_by_client(event: RecordedEvent) -> Observation | None:
    found = sum(event.pii_kinds.values())
    return Observation(f"client {event.client_id}", weight=found) if found and event.client_id else None


def _subject_seen(event: RecordedEvent) -> Observation | None:
    if not (event.subject_reference and event.user_id) or event.outcome is not Outcome.SUCCESS:
        return None
    return Observation(f"user {event.user_id}", name=event.subject_reference)


def _refused_tool(event: RecordedEvent) -> Observation | None:
    """A refused tool counts once; one that does not exist has no name on record, and counts each time."""
    if event.outcome is not Outcome.REFUSED or not (event.tool_name or event.reason == "unknown_component"):
        return None
    who = f"user {event.user_id}" if event.user_id else _place(event)
    return Observation(who, name=event.tool_name or event.event_id)


def _place(event: RecordedEvent) -> str:
    return f"address {network_of(event.source_address)}" if event.source_address else f"client {event.client_id}"
