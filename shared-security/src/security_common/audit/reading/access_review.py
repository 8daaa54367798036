"""The monthly review of access records (접속기록 점검) that Korea's 안전성 확보조치 기준, article 8, requires.

It lists what a reviewer has to check: who accessed personal data, when, from where, of whom, for which task, and what
is unusual. The result and the signature are the reviewer's; the sheet has space for both.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from importlib.resources import files
from string import Template

from security_common.audit import AuditEvent, EventType, Outcome, RecordedEvent
from security_common.audit.reading.alerts import Language, is_alert, is_new_alert, rule_title
from security_common.audit.reading.report import rows

__all__ = ["DOWNLOAD", "Access", "AccessReview", "Month", "identifier_of", "review_access"]

WORK_BEGINS, WORK_ENDS = time(7), time(21)
"""Accesses outside these hours and on weekends are counted as unusual."""

DOWNLOAD = "download"
UNKNOWN_USER = "-"

TASKS: Mapping[str, Mapping[Language, str]] = {
    "view": {"en": "view", "ko": "조회"},
    "store": {"en": "store", "ko": "저장"},
    "change": {"en": "change", "ko": "변경"},
    "delete": {"en": "delete", "ko": "삭제"},
    DOWNLOAD: {"en": "download", "ko": "다운로드"},
}

CALL: Mapping[Language, str] = {"en": "tool call", "ko": "도구 호출"}

COVERAGE: Mapping[Language, str] = {
    "en": "\n**Not the whole month: the events that were read begin at {}.** Earlier accesses are in the journals: "
    "`security-common audit report --month … --journals`.\n",
    "ko": "\n**한 달 전체가 아닙니다. 조회한 기록은 {}부터입니다.** 그 이전의 접속기록은 저널 파일에 있습니다: "
    "`security-common audit report --month … --journals`\n",
}

EMPTY: Mapping[Language, str] = {"en": "none", "ko": "해당 없음"}


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in the time zone of the reviewer."""

    year: int
    month: int
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, zone: tzinfo) -> "Month":
        """Reads `2026-11`. Raises ValueError."""
        moment = datetime.strptime(text, "%Y-%m").replace(tzinfo=zone)
        return cls(moment.year, moment.month, zone)

    @property
    def since(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=self.zone).astimezone(UTC)

    @property
    def until(self) -> datetime:
        following = datetime(self.year, self.month, 1, tzinfo=self.zone) + timedelta(days=32)
        return following.replace(day=1).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Access:
    """An event that may be an access to personal data: by whom, from where, and whether it names a data subject.

    `event` has the other members. `is_unusual` is true outside of the usual hours.
    """

    event: AuditEvent
    user_id: str | None
    source_address: str | None
    has_subject: bool
    is_unusual: bool

    @property
    def is_access(self) -> bool:
        return self.event.contains_pii or self.has_subject or bool(self.event.task)

    @property
    def is_incomplete(self) -> bool:
        """Whether the event lacks the identifier, the source address or the data subject."""
        has_identifier = self.user_id is not None or self.event.client_id is not None
        # Lists and downloads are about many data subjects.
        needs_subject = self.event.task != DOWNLOAD and self.event.event_type != EventType.AUDIT_PAGE
        has_subject = self.has_subject or not needs_subject
        return not (has_identifier and self.source_address is not None and has_subject)


def identifier_of(user_id: str | None, client_id: str | None) -> str:
    """Who an access is counted for: the user, or the client that acts on its own behalf."""
    return user_id or client_id or UNKNOWN_USER


@dataclass(slots=True)
class _User:
    """The accesses of one identifier in the month. `subjects` has references, or their numbers in the index."""

    accesses: int = 0
    refused: int = 0
    unusual_hours: int = 0
    tasks: Counter[str] = field(default_factory=Counter[str])
    subjects: set[str | int] = field(default_factory=set[str | int])
    addresses: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class AccessReview:
    """The figures of one month. An access is an event that contains personal data, names a data subject or has a task.

    Downloads are always listed with their reasons: a download of many people's data has no data subject. `begins` is
    the time of the first event that was read, if it is after the beginning of the month.
    """

    month: Month
    begins: datetime | None = None
    accesses: int = 0
    incomplete: int = 0
    users: dict[str, _User] = field(default_factory=dict[str, _User])
    tasks: Counter[str] = field(default_factory=Counter[str])
    downloads: list[RecordedEvent] = field(default_factory=list[RecordedEvent])
    alerts: Counter[str] = field(default_factory=Counter[str])

    def add(self, event: RecordedEvent) -> None:
        """Counts one event of the month."""
        subject = event.subject_reference
        access = Access(event, event.user_id, event.source_address, bool(subject), self.is_unusual(event.timestamp))
        if not self.count(access):
            return
        if subject:
            self.add_subject(identifier_of(event.user_id, event.client_id), subject)
        if event.task == DOWNLOAD:
            self.downloads.append(event)

    def count(self, access: Access, times: int = 1) -> bool:
        """Counts equal events of the month, without downloads and data subjects. Whether they are accesses."""
        event = access.event
        if is_alert(event):
            if is_new_alert(event):
                self.alerts[event.reason or ""] += times
            return False
        if not access.is_access:
            return False
        task = event.task or event.tool_name or event.event_type
        self.accesses += times
        if access.is_incomplete:
            self.incomplete += times
        self.tasks[task] += times
        user = self._user(identifier_of(access.user_id, event.client_id))
        user.accesses += times
        if event.outcome is Outcome.REFUSED:
            user.refused += times
        if access.is_unusual:
            user.unusual_hours += times
        user.tasks[task] += times
        if access.source_address:
            user.addresses.add(access.source_address)
        return True

    def add_subject(self, identifier: str, subject: str | int) -> None:
        """Adds a person whose data the identifier accessed."""
        self._user(identifier).subjects.add(subject)

    def _user(self, identifier: str) -> _User:
        user = self.users.get(identifier)
        if user is None:
            user = self.users[identifier] = _User()
        return user

    def as_data(self) -> dict[str, object]:
        """JSON-ready figures."""
        return {
            "since": self.month.since.isoformat(),
            "until": self.month.until.isoformat(),
            "accesses": self.accesses,
            "record_begins": self.begins.isoformat() if self.begins else None,
            "incomplete": self.incomplete,
            "tasks": dict(self.tasks.most_common()),
            "alerts": dict(self.alerts.most_common()),
            "downloads": [
                {
                    "timestamp": event.timestamp.isoformat(),
                    "event_id": event.event_id,
                    "user_id": event.user_id,
                    "client_id": event.client_id,
                    "source_address": event.source_address,
                    "what": _describe_download(event, "en"),
                    "outcome": event.outcome,
                    "reason": event.reason,
                }
                for event in self.downloads
            ],
            "people": {
                name: {
                    "accesses": user.accesses,
                    "refused": user.refused,
                    "unusual_hours": user.unusual_hours,
                    "subjects": len(user.subjects),
                    "addresses": sorted(user.addresses),
                    "tasks": dict(user.tasks.most_common()),
                }
                for name, user in self._by_accesses()
            },
        }

    def as_markdown(self, language: Language) -> str:
        """The sheet to fill in, in Korean or English."""
        sheet = (
            files("security_common.audit.reading").joinpath(f"access_review.{language}.md").read_text(encoding="utf-8")
        )
        people = (
            (
                name,
                f"{each.accesses:,}",
                f"{len(each.subjects):,}",
                f"{each.refused:,}",
                f"{each.unusual_hours:,}",
                " ".join(sorted(each.addresses)),
            )
            for name, each in self._by_accesses()
        )
        downloads = (
            (
                f"{each.timestamp.astimezone(self.month.zone):%m-%d %H:%M}",
                each.user_id or each.client_id or UNKNOWN_USER,
                _describe_download(each, language),
                each.source_address,
                each.reason,
            )
            for each in self.downloads
        )
        tasks = ((_describe_task(task, language), f"{count:,}") for task, count in self.tasks.most_common())
        alerts = ((rule_title(rule, language), f"{count:,}") for rule, count in self.alerts.most_common())
        empty = EMPTY[language]
        return Template(sheet).substitute(
            month=f"{self.month.year}-{self.month.month:02d}",
            accesses=f"{self.accesses:,}",
            persons=f"{len(self.users):,}",
            incomplete=f"{self.incomplete:,}",
            unusual=f"{sum(user.unusual_hours for user in self.users.values()):,}",
            people=rows(people, empty=empty),
            tasks=rows(tasks, empty=empty),
            coverage=self._coverage(language),
            downloads=rows(downloads, empty=empty),
            alerts=rows(alerts, empty=empty),
        )

    def _coverage(self, language: Language) -> str:
        """A warning if the events that were read do not reach back to the beginning of the month."""
        if self.begins is None or self.begins <= self.month.since:
            return ""
        return COVERAGE[language].format(f"{self.begins.astimezone(self.month.zone):%Y-%m-%d %H:%M}")

    def _by_accesses(self) -> list[tuple[str, _User]]:
        return sorted(self.users.items(), key=lambda item: (-item[1].accesses, item[0]))

    def is_unusual(self, moment: datetime) -> bool:
        """Whether this time is outside of the usual hours or on a weekend, in the time zone of the reviewer."""
        local = moment.astimezone(self.month.zone)
        return local.weekday() >= 5 or not WORK_BEGINS <= local.time() < WORK_ENDS


def _describe_task(task: str, language: Language) -> str:
    """The name of a task, or which tool was called if it has none."""
    if task in TASKS:
        return TASKS[task][language]
    return f"{CALL[language]}: {task}"


def _describe_download(event: RecordedEvent, language: Language) -> str:
    """The tool of the download; for the audit trail itself, its format."""
    if event.event_type != EventType.AUDIT_PAGE:
        return event.tool_name or event.event_type
    trail = {"en": "audit trail", "ko": "감사 기록"}[language]
    return f"{trail} ({event.action_taken.removeprefix('exported_')})"


async def review_access(
    events: AsyncIterator[RecordedEvent], month: Month, *, begins: datetime | None = None
) -> AccessReview:
    """Reads the events once and leaves out those of other months. `begins` is the time of the first event, if known."""
    review = AccessReview(month, begins)
    async for event in events:
        if month.since <= event.timestamp < month.until:
            review.add(event)
    return review
