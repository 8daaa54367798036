"""The trail in other people's formats. These are views for export; the stored line stays as it is.

CloudEvents 1.0 (`id` and `source` name an event once, so consumers can dedupe) and OCSF 1.3: API Activity (class 6003),
alerts as Detection Finding (class 2004).
"""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.alerts import RULE_TITLES, describe_alert, is_alert, is_new_alert

__all__ = ["COLUMNS", "FORMATS", "as_members", "safe_cell"]

COLUMNS = (
    *("timestamp", "event_type", "outcome", "reason", "service", "tool_name", "user_id", "issuer", "client_id"),
    *("source_address", "subject_reference", "task", "contains_pii", "pii_kinds", "action_taken", "duration_ms"),
    "alert",
    *("trace_id", "event_id", "journal_id", "seq", "prev", "hash"),
)

_OCSF_HIGH = 4
_OCSF_STATUS = {
    Outcome.SUCCESS: (1, 1),
    Outcome.REFUSED: (2, 3),
    Outcome.FAILURE: (2, 2),
    Outcome.ALERT: (99, _OCSF_HIGH),
}
"""status_id (1 success, 2 failure, 99 other) and severity_id (1 informational, 2 low, 3 medium, 4 high)."""


def as_members(event: RecordedEvent) -> dict[str, Any]:
    """JSON-ready members with their names as stored; without those that are unknown."""
    members = {name: value for name, value in asdict(event).items() if value is not None and name != "cursor"}
    if not event.alert:
        del members["alert"]
    return members | {"timestamp": event.timestamp.isoformat(), "pii_kinds": dict(event.pii_kinds)}


def as_json_line(event: RecordedEvent) -> str:
    return _dump(as_members(event))


def as_csv_row(event: RecordedEvent) -> str:
    """One row in the order of COLUMNS. A caller chose some texts: none may act as a formula in a spreadsheet."""
    members = as_members(event) | {"pii_kinds": " ".join(f"{kind}={n}" for kind, n in event.pii_kinds.items())}
    members["alert"] = describe_alert(event) if is_alert(event) else ""
    row = [str(members.get(name, "")) for name in COLUMNS]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(map(safe_cell, row))
    return out.getvalue()


def as_cloudevent(event: RecordedEvent) -> str:
    """CloudEvents 1.0.2, JSON format; `source` and `id` together are unique."""
    return _dump(
        {
            "specversion": "1.0",
            "id": event.event_id,
            "source": f"urn:mcp-oauth2:journal:{event.journal_id}",
            "type": f"mcp-oauth2.audit.{event.event_type}",
            "time": event.timestamp.isoformat(),
            "subject": event.user_id or event.client_id or event.service,
            "datacontenttype": "application/json",
            "data": as_members(event),
        }
    )


def as_ocsf(event: RecordedEvent) -> str:
    """OCSF 1.3: API Activity (class_uid 6003), who called what, from where, with what end; alerts Detection Finding."""
    members = _ocsf_finding(event) if is_alert(event) else _ocsf_activity(event)
    common = {
        "time": int(event.timestamp.timestamp() * 1000),
        "actor": {"user": {"uid": event.user_id}, "app_uid": event.client_id, "idp": {"name": event.issuer}},
        "src_endpoint": {"ip": event.source_address},
        "metadata": {
            "version": "1.3.0",
            "uid": event.event_id,
            "correlation_uid": event.trace_id,
            "product": {"name": "MCP OAuth2", "vendor_name": "MCP OAuth2"},
        },
        "unmapped": as_members(event),
    }
    return _dump(members | common)


def _ocsf_activity(event: RecordedEvent) -> dict[str, Any]:
    """API Activity (class_uid 6003), activity Other (99)."""
    status_id, severity_id = _OCSF_STATUS[event.outcome]
    return {
        "activity_id": 99,
        "activity_name": event.action_taken,
        "category_uid": 6,
        "class_uid": 6003,
        "type_uid": 600399,
        "severity_id": severity_id,
        "status_id": status_id,
        "status_detail": event.reason,
        "duration": None if event.duration_ms is None else round(event.duration_ms),
        "api": {"operation": event.tool_name or event.event_type, "service": {"name": event.service}},
    }


def _ocsf_finding(event: RecordedEvent) -> dict[str, Any]:
    """Detection Finding (class_uid 2004), severity high: Create (1) as a burst begins, Update (2) while it goes on."""
    rule, alert = event.reason or "unnamed", event.alert
    activity_id = 1 if is_new_alert(event) else 2
    return {
        "activity_id": activity_id,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200400 + activity_id,
        "severity_id": _OCSF_HIGH,
        "status_id": 1,
        "message": describe_alert(event),
        "count": alert.get("count"),
        "finding_info": {
            # The same for all events of one burst.
            "uid": ":".join(
                str(part) for part in (rule, *(alert.get(name, "") for name in ("about", "name", "since")))
            ),
            "title": RULE_TITLES[rule]["en"] if rule in RULE_TITLES else rule,
            "types": [rule],
        },
    }


FORMATS: Mapping[str, Callable[[RecordedEvent], str]] = {
    "jsonl": as_json_line,
    "csv": as_csv_row,
    "cloudevents": as_cloudevent,
    "ocsf": as_ocsf,
}


def _dump(members: Mapping[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


_FORMULA_STARTS = frozenset("=+-@\N{MINUS SIGN}")
_CONTROL_STARTS = ("\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """The text with an apostrophe in front when a spreadsheet could take it for a formula.

    East Asian versions of spreadsheets read full-width signs as the usual ones; some skip spaces and invisible
    characters before a formula.
    """
    is_formula = text.startswith(_CONTROL_STARTS) or _first_visible(text) in _FORMULA_STARTS
    return f"'{text}" if is_formula else text


def _first_visible(text: str) -> str:
    for character in text:
        if not character.isspace() and unicodedata.category(character)[0] != "C":
            return unicodedata.normalize("NFKC", character)[0]
    return ""
