"""Alerts of the detection rules: as audit events, and as sentences in Korean and English.

The first event of a burst has the action `alerted`. While the burst continues, one event for each window of the rule
has the action `alert_continues` and the count so far. Reports count bursts, so they count the first events only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from security_common.audit import Action, AuditEvent, EventType, Outcome, RecordedEvent
from security_common.settings import Threshold

__all__ = [
    "RULE_TITLES",
    "Alert",
    "DetectionRule",
    "Language",
    "describe_alert",
    "is_alert",
    "is_new_alert",
    "rule_title",
]

Language = Literal["en", "ko"]


class DetectionRule(StrEnum):
    """The names of the detection rules: the `reason` of an alert event."""

    REFUSAL_BURST = "refusal_burst"
    SECRET_GUESSING = "secret_guessing"  # noqa: S105  # the name of a rule
    REFRESH_TOKEN_REUSE = "refresh_token_reuse"  # noqa: S105  # the name of a rule
    PII_VOLUME_USER = "pii_volume_person"  # existing trails contain this value
    PII_VOLUME_CLIENT = "pii_volume_client"
    MANY_SUBJECTS = "many_subjects"
    TOOL_ENUMERATION = "tool_enumeration"
    JOURNAL_GAP = "journal_gap"
    JOURNAL_QUIET = "journal_quiet"


RULE_TITLES: Mapping[str, Mapping[Language, str]] = {
    DetectionRule.REFUSAL_BURST: {"en": "Many refusals from one source", "ko": "한 주소에서 거부 반복"},
    DetectionRule.SECRET_GUESSING: {"en": "Guessing a secret or password", "ko": "비밀번호·비밀값 대입 시도"},
    DetectionRule.REFRESH_TOKEN_REUSE: {"en": "A refresh token was used again", "ko": "사용된 리프레시 토큰의 재사용"},
    DetectionRule.PII_VOLUME_USER: {
        "en": "Unusual volume of personal data by one user",
        "ko": "한 사용자의 과다한 개인정보 처리",
    },
    DetectionRule.PII_VOLUME_CLIENT: {
        "en": "Unusual volume of personal data by one client",
        "ko": "한 클라이언트의 과다한 개인정보 처리",
    },
    DetectionRule.MANY_SUBJECTS: {
        "en": "One user accessed the data of many people",
        "ko": "한 사용자의 다수 정보주체 조회",
    },
    DetectionRule.TOOL_ENUMERATION: {"en": "Trying tools one after another", "ko": "도구를 차례로 시도"},
    DetectionRule.JOURNAL_GAP: {"en": "Audit events are missing", "ko": "감사 기록 누락"},
    DetectionRule.JOURNAL_QUIET: {
        "en": "A journal stopped reporting without being closed",
        "ko": "정상 종료 없이 중단된 저널",
    },
}
"""The title of every rule in both languages."""


def rule_title(rule: str, language: Language) -> str:
    """The title of a rule; the name itself if it is a rule of another release."""
    return RULE_TITLES[rule][language] if rule in RULE_TITLES else rule


_COUNTED: Mapping[str, Mapping[Language, str]] = {
    DetectionRule.REFUSAL_BURST: {"en": "{} refusals", "ko": "거부 {}건"},
    DetectionRule.SECRET_GUESSING: {"en": "{} failed attempts", "ko": "인증 실패 {}회"},
    DetectionRule.REFRESH_TOKEN_REUSE: {"en": "{} reused refresh tokens", "ko": "리프레시 토큰 재사용 {}회"},
    DetectionRule.PII_VOLUME_USER: {"en": "{} pieces of personal data", "ko": "개인정보 {}건"},
    DetectionRule.PII_VOLUME_CLIENT: {"en": "{} pieces of personal data", "ko": "개인정보 {}건"},
    DetectionRule.MANY_SUBJECTS: {"en": "data of {} people", "ko": "정보주체 {}명"},
    DetectionRule.TOOL_ENUMERATION: {"en": "{} tools refused", "ko": "거부된 도구 {}개"},
    DetectionRule.JOURNAL_GAP: {"en": "{} lines missing", "ko": "기록 {}건 누락"},
    DetectionRule.JOURNAL_QUIET: {"en": "{} lines known to be missing", "ko": "누락 확인된 기록 {}건"},
}

_ABOUT: Mapping[str, Mapping[Language, str]] = {
    "user": {"en": "user", "ko": "사용자"},
    "client": {"en": "client", "ko": "클라이언트"},
    "address": {"en": "address", "ko": "접속 주소"},
    "journal": {"en": "journal", "ko": "저널"},
}

_QUIET: Mapping[Language, str] = {
    "en": "{about} {name}: no heartbeat since {since} and not closed, {counted}",
    "ko": "{about} {name}: {since} 이후 응답이 없고 정상 종료되지 않음, {counted}",
}

_SENTENCES: Mapping[Language, str] = {
    "en": "{about} {name}: {counted} within {window} (threshold: {threshold})",
    "ko": "{about} {name}: {window} 동안 {counted} (기준: {threshold})",
}

_CONTINUES_SENTENCES: Mapping[Language, str] = {
    "en": "{about} {name}: {counted} since {since}, still continuing (threshold: {threshold} within {window})",
    "ko": "{about} {name}: {since}부터 {counted}, 계속 발생 중 (기준: {window} 동안 {threshold})",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of one rule about one group, such as `user u_4f2c` or `address 192.0.2.7`.

    `value` is the count since the burst began at `since`. `trigger` is the event that reached the threshold; None if
    the alert is about events that did not come. `continues` is true if the burst was reported before.
    """

    rule: DetectionRule
    group: str
    value: int
    threshold: Threshold
    since: datetime
    trigger: RecordedEvent | None
    continues: bool = False

    @property
    def title(self) -> str:
        """In both languages."""
        titles = RULE_TITLES[self.rule]
        return f"{titles['en']} · {titles['ko']}"

    def as_event(self) -> AuditEvent:
        """The alert as an audit event. The caller and the source address are those of the trigger."""
        about, _, name = self.group.partition(" ")
        event = AuditEvent(
            event_type=EventType.SECURITY_ALERT,
            action_taken=Action.ALERT_CONTINUES if self.continues else Action.ALERTED,
            outcome=Outcome.ALERT,
            reason=self.rule,
            alert={
                "about": about,
                "name": name[:128],
                "count": self.value,
                "threshold": self.threshold.count,
                "window_seconds": self.threshold.seconds,
                "since": self.since.isoformat(timespec="seconds"),
            },
        )
        if self.trigger is None:
            return event
        return replace(
            event,
            tool_name=self.trigger.tool_name,
            user_id=self.trigger.user_id,
            issuer=self.trigger.issuer,
            client_id=self.trigger.client_id,
            source_address=self.trigger.source_address,
            trace_id=self.trigger.trace_id,
        )


def is_alert(event: AuditEvent) -> bool:
    """Whether an event is an alert. Alerts of older releases have the outcome success."""
    return event.event_type == EventType.SECURITY_ALERT


def is_new_alert(event: AuditEvent) -> bool:
    """Whether this is the first event of a burst."""
    return is_alert(event) and event.action_taken != Action.ALERT_CONTINUES


def describe_alert(event: AuditEvent, language: Language = "en", *, since: str | None = None) -> str:
    """The cause of the alert in one sentence; empty if it is unknown.

    `since` is the beginning of the burst in the format of the reader; by default it is shown as recorded, in UTC.
    Alerts of older releases have their text in `task`.
    """
    members = event.alert
    about = _ABOUT.get(str(members.get("about")))
    counted = _COUNTED.get(event.reason or "")
    if about is None or counted is None:
        return event.task or ""
    if event.reason == DetectionRule.JOURNAL_QUIET:
        sentences = _QUIET
    elif event.action_taken == Action.ALERT_CONTINUES:
        sentences = _CONTINUES_SENTENCES
    else:
        sentences = _SENTENCES
    return sentences[language].format(
        about=about[language],
        name=members.get("name", ""),
        counted=counted[language].format(f"{_number(members, 'count'):,}"),
        threshold=f"{_number(members, 'threshold'):,}",
        window=_window(_number(members, "window_seconds"), language),
        since=since or str(members.get("since", "")),
    )


def _number(members: Mapping[str, str | int], name: str) -> int:
    """0 if the member is not a number, as in a stream entry that no rule wrote."""
    value = members.get(name)
    return value if isinstance(value, int) else 0


def _window(seconds: int, language: Language) -> str:
    units: tuple[tuple[int, str, str], ...] = ((3600, "hour", "시간"), (60, "minute", "분"), (1, "second", "초"))
    size, english, korean = next(unit for unit in units if seconds % unit[0] == 0)
    number = seconds // size
    return f"{number}{korean}" if language == "ko" else f"{number} {english}{'' if number == 1 else 's'}"
