"""The security report: what happened in a period, computed from the audit trail, as data and as Markdown."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from security_common.audit import AuditEvent, Outcome, RecordedEvent
from security_common.audit.reading.alerts import is_new_alert, rule_title
from security_common.audit.reading.trail_state import TrailState

__all__ = ["KeyInUse", "SecurityReport", "rows", "security_report"]

LISTED = 10
"""The number of rows that a ranking in Markdown shows."""


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key: its purpose, its id, and its state."""

    purpose: str
    key_id: str
    state: str


@dataclass(slots=True)
class SecurityReport:
    """Counts of one period. The data has complete rankings; the Markdown shows the first ten rows.

    `trail` and `keys` are the current state; the caller sets them.
    """

    since: datetime | None = None
    until: datetime | None = None
    events: int = 0
    with_personal_data: int = 0
    by_type: Counter[str] = field(default_factory=Counter[str])
    by_outcome: Counter[str] = field(default_factory=Counter[str])
    by_user: Counter[str] = field(default_factory=Counter[str])
    by_client: Counter[str] = field(default_factory=Counter[str])
    by_tool: Counter[str] = field(default_factory=Counter[str])
    by_action: Counter[str] = field(default_factory=Counter[str])
    by_pii_kind: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    alerts: Counter[str] = field(default_factory=Counter[str])
    journals: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    trail: TrailState | None = None
    keys: Sequence[KeyInUse] = ()

    def add(self, event: RecordedEvent) -> None:
        """Counts one event."""
        self.count(event)
        self.count_user(event.user_id)
        self.extend_period(event.timestamp, event.timestamp)
        self.extend_journal(event.journal_id, event.seq, event.seq)

    def count(self, event: AuditEvent, times: int = 1) -> None:
        """Counts everything but the user of equal events."""
        self.events += times
        self.with_personal_data += times if event.contains_pii else 0
        self.by_type[event.event_type] += times
        self.by_outcome[event.outcome] += times
        self.by_action[event.action_taken] += times
        for kind, findings in event.pii_kinds.items():
            self.by_pii_kind[kind] += findings * times
        if event.client_id:  # it is empty if the issuer does not write one
            self.by_client[event.client_id] += times
        if event.tool_name:
            self.by_tool[event.tool_name] += times
        if event.outcome is Outcome.REFUSED:
            self.refusals[event.reason or event.event_type] += times
        if is_new_alert(event):
            self.alerts[event.reason or "unnamed"] += times

    def count_user(self, user_id: str | None, times: int = 1) -> None:
        """Counts events of a user."""
        if user_id:
            self.by_user[user_id] += times

    def extend_period(self, first: datetime, last: datetime) -> None:
        """Extends the period to the times of these events."""
        self.since = min(self.since or first, first)
        self.until = max(self.until or last, last)

    def extend_journal(self, journal_id: str, first_seq: int, last_seq: int) -> None:
        """Extends the first and the last line of a journal in this period."""
        first, last = self.journals.get(journal_id, (first_seq, last_seq))
        self.journals[journal_id] = (min(first, first_seq), max(last, last_seq))

    def as_data(self) -> dict[str, object]:
        """JSON-ready members, rankings ordered by count."""
        rankings = {
            name: dict(getattr(self, name).most_common())
            for name in ("by_type", "by_outcome", "by_user", "by_client", "by_tool", "by_action", "by_pii_kind")
        }
        return {
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "events": self.events,
            "with_personal_data": self.with_personal_data,
            **rankings,
            "refusals": dict(self.refusals.most_common()),
            "alerts": dict(self.alerts.most_common()),
            "journals": {name: {"first_seq": span[0], "last_seq": span[1]} for name, span in self.journals.items()},
            "chain": self.trail.as_data() if self.trail else None,
            "keys": [asdict(key) for key in self.keys],
        }

    def as_markdown(self) -> str:
        """The report as text."""
        if self.since is None or self.until is None:
            return "\n".join(["# Security report\n\nNo events in this period.\n", *self._chain(), *self._keys()])
        period = f"{self.since:%Y-%m-%d %H:%M:%S} to {self.until:%Y-%m-%d %H:%M:%S} UTC"
        alerts = Counter({rule_title(rule, "en"): count for rule, count in self.alerts.items()})
        rankings = {
            "Outcomes": self.by_outcome,
            "Alerts": alerts,
            "Refusals by reason": self.refusals,
            "Users": self.by_user,
            "Clients": self.by_client,
            "Tools": self.by_tool,
            "Actions": self.by_action,
            "Kinds of personal data": self.by_pii_kind,
        }
        parts = [
            "# Security report\n",
            f"{period}: {self.events} events, {self.with_personal_data} with personal data.\n",
        ]
        for title, counts in rankings.items():
            if counts:
                parts.append(_ranking(title, counts))
        return "\n".join([*parts, self._journals(), *self._chain(), *self._keys()])

    def _journals(self) -> str:
        """The first and the last line of each journal in this period."""
        lines = [(name, first, last, last - first + 1) for name, (first, last) in sorted(self.journals.items())]
        return f"## Journals\n\n{table(('journal', 'first seq', 'last seq', 'lines between'), lines)}"

    def _chain(self) -> Iterator[str]:
        if self.trail is not None:
            verdict = "has no gaps and no changed lines" if self.trail.intact else "has gaps or changed lines"
            signed = f"{self.trail.newest_checkpoint:%Y-%m-%d %H:%M:%S} UTC" if self.trail.newest_checkpoint else "none"
            lines = [
                (each.journal_id, each.newest_seq, each.shipped_through_seq, each.missing, each.broken)
                for each in self.trail.journals
            ]
            columns = ("journal", "newest seq", "shipped through", "lines missing", "links broken")
            yield (
                f"## Chain\n\nThe newest part of the audit trail {verdict}; last signed checkpoint: {signed}. "
                "Use `security-common audit verify` for seals and older lines."
                f"{self._beginning()}\n\n{table(columns, lines)}"
            )

    def _beginning(self) -> str:
        if self.trail is None or not self.trail.trimmed or self.trail.begins is None:
            return ""
        return (
            f" The events that can be read here begin at {self.trail.begins:%Y-%m-%d %H:%M:%S} UTC: older ones are "
            "only in the journals (`security-common audit report --journals`)."
        )

    def _keys(self) -> Iterator[str]:
        if self.keys:
            lines = [(key.purpose, key.key_id, key.state) for key in self.keys]
            yield f"## Keys\n\n{table(('purpose', 'key', 'state'), lines)}"


async def security_report(events: AsyncIterator[RecordedEvent]) -> SecurityReport:
    """Reads the events once, in any order."""
    report = SecurityReport()
    async for event in events:
        report.add(event)
    return report


def table(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n{rows(lines)}\n"


def rows(lines: Iterable[Sequence[object]], *, empty: str = "-") -> str:
    """The rows of a Markdown table, or `empty` without any. Callers choose some of the texts, so they are escaped."""
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) or f"| {empty} |"


def _ranking(title: str, counts: Counter[str]) -> str:
    more = f"\n{len(counts) - LISTED} more.\n" if len(counts) > LISTED else ""
    return f"## {title}\n\n{table(('what', 'events'), counts.most_common(LISTED))}{more}"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
