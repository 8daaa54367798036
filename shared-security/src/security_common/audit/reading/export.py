"""Audit events in the formats of other systems. Each format is a table of its members; the stored line is not changed.

| format | content |
|---|---|
| jsonl | the members as stored, one JSON object for each event |
| csv | the same, with one sentence for an alert |
| cloudevents | CloudEvents 1.0 in JSON; `source` and `id` together are unique, so duplicates can be removed |
| ocsf | OCSF 1.3: API Activity (class 6003), and Detection Finding (class 2004) for alerts |
"""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.alerts import describe_alert, is_alert, is_new_alert, rule_title

__all__ = ["COLUMNS", "FORMATS", "ExportFormat", "as_json_line", "as_members", "safe_cell"]

Table = Mapping[str, Callable[[RecordedEvent], Any]]
"""Member names and how their values follow from an event."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """`write_event` returns one line without its newline. `header` is the first line, if the format has one."""

    write_event: Callable[[RecordedEvent], str]
    header: str = ""


def as_members(event: RecordedEvent) -> dict[str, Any]:
    """JSON-ready members with their names as stored, without unknown ones."""
    members = {name: value for name, value in asdict(event).items() if value is not None and name != "entry_id"}
    for name in ("alert", "revealed_kinds"):
        if not members[name]:
            del members[name]
    return members | {"timestamp": event.timestamp.isoformat(), "pii_kinds": dict(event.pii_kinds)}


def _describe_counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{kind}={count}" for kind, count in counts.items())


def as_json_line(event: RecordedEvent) -> str:
    return _dump(as_members(event))


COLUMNS = (
    "timestamp",
    "event_type",
    "outcome",
    "reason",
    "service",
    "tool_name",
    "user_id",
    "issuer",
    "client_id",
    "source_address",
    "subject_reference",
    "task",
    "contains_pii",
    "pii_kinds",
    "action_taken",
    "duration_ms",
    "alert",
    "trace_id",
    "event_id",
    "journal_id",
    "seq",
    "prev",
    "hash",
    "revealed_kinds",
)

# Columns that are not written as stored.
_CSV_TEXTS: Table = {
    "pii_kinds": lambda event: _describe_counts(event.pii_kinds),
    "revealed_kinds": lambda event: _describe_counts(event.revealed_kinds),
    "alert": lambda event: describe_alert(event) if is_alert(event) else "",
}

_CLOUDEVENT: Table = {
    "specversion": lambda _: "1.0",
    "id": lambda event: event.event_id,
    "source": lambda event: f"urn:mcp-oauth2:journal:{event.journal_id}",
    "type": lambda event: f"mcp-oauth2.audit.{event.event_type}",
    "time": lambda event: event.timestamp.isoformat(),
    "subject": lambda event: event.user_id or event.client_id or event.service,
    "datacontenttype": lambda _: "application/json",
    "data": as_members,
}

_OCSF_HIGH_SEVERITY = 4
# status_id: 1 success, 2 failure, 99 other. severity_id: 1 informational, 2 low, 3 medium, 4 high.
_OCSF_STATUS_IDS = {Outcome.SUCCESS: 1, Outcome.REFUSED: 2, Outcome.FAILURE: 2, Outcome.ALERT: 99}
_OCSF_SEVERITY_IDS = {Outcome.SUCCESS: 1, Outcome.REFUSED: 3, Outcome.FAILURE: 2, Outcome.ALERT: _OCSF_HIGH_SEVERITY}


def _finding_info(event: RecordedEvent) -> dict[str, Any]:
    """`uid` is the same for all events of one burst."""
    rule = event.reason or "unnamed"
    burst = (rule, *(event.alert.get(name, "") for name in ("about", "name", "since")))
    return {"uid": ":".join(str(part) for part in burst), "title": rule_title(rule, "en"), "types": [rule]}


# API Activity (class_uid 6003) with the activity Other (99).
_OCSF_ACTIVITY: Table = {
    "activity_id": lambda _: 99,
    "activity_name": lambda event: event.action_taken,
    "category_uid": lambda _: 6,
    "class_uid": lambda _: 6003,
    "type_uid": lambda _: 600399,
    "severity_id": lambda event: _OCSF_SEVERITY_IDS[event.outcome],
    "status_id": lambda event: _OCSF_STATUS_IDS[event.outcome],
    "status_detail": lambda event: event.reason,
    "duration": lambda event: None if event.duration_ms is None else round(event.duration_ms),
    "api": lambda event: {"operation": event.tool_name or event.event_type, "service": {"name": event.service}},
}

# Detection Finding (class_uid 2004) with the activity Create (1) when a burst begins and Update (2) while it continues.
_OCSF_FINDING: Table = {
    "activity_id": lambda event: 1 if is_new_alert(event) else 2,
    "category_uid": lambda _: 2,
    "class_uid": lambda _: 2004,
    "type_uid": lambda event: 200401 if is_new_alert(event) else 200402,
    "severity_id": lambda _: _OCSF_HIGH_SEVERITY,
    "status_id": lambda _: 1,
    "message": describe_alert,
    "count": lambda event: event.alert.get("count"),
    "finding_info": _finding_info,
}

_OCSF_COMMON: Table = {
    "time": lambda event: int(event.timestamp.timestamp() * 1000),
    "actor": lambda event: {"user": {"uid": event.user_id}, "app_uid": event.client_id, "idp": {"name": event.issuer}},
    "src_endpoint": lambda event: {"ip": event.source_address},
    "metadata": lambda event: {
        "version": "1.3.0",
        "uid": event.event_id,
        "correlation_uid": event.trace_id,
        "product": {"name": "MCP OAuth2", "vendor_name": "MCP OAuth2"},
    },
    "unmapped": as_members,
}


def _as_csv_row(event: RecordedEvent) -> str:
    members = as_members(event) | _apply(_CSV_TEXTS, event)
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(safe_cell(str(members.get(name, ""))) for name in COLUMNS)
    return out.getvalue()


def _as_cloudevent(event: RecordedEvent) -> str:
    return _dump(_apply(_CLOUDEVENT, event))


def _as_ocsf(event: RecordedEvent) -> str:
    specific = _OCSF_FINDING if is_alert(event) else _OCSF_ACTIVITY
    return _dump(_apply(specific, event) | _apply(_OCSF_COMMON, event))


FORMATS: Mapping[str, ExportFormat] = {
    "jsonl": ExportFormat(as_json_line),
    "csv": ExportFormat(_as_csv_row, header=",".join(COLUMNS)),
    "cloudevents": ExportFormat(_as_cloudevent),
    "ocsf": ExportFormat(_as_ocsf),
}


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet could execute it as a formula (CWE-1236).

    Callers choose some of the texts. East Asian versions of spreadsheets accept full-width signs, and some skip spaces
    and invisible characters before a formula.
    """
    is_formula = text.startswith(("\t", "\r", "\n")) or _first_visible_character(text) in _FORMULA_SIGNS
    return f"'{text}" if is_formula else text


_FORMULA_SIGNS = frozenset("=+-@\N{MINUS SIGN}")


def _first_visible_character(text: str) -> str:
    for character in text:
        if not character.isspace() and unicodedata.category(character)[0] != "C":
            return unicodedata.normalize("NFKC", character)[0]
    return ""


def _apply(table: Table, event: RecordedEvent) -> dict[str, Any]:
    return {name: value_of(event) for name, value_of in table.items()}


def _dump(members: Mapping[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
