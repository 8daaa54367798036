"""The trail in other people's formats. These are views for export; the stored line stays as it is.

CloudEvents 1.0 (`id` and `source` name an event once, so consumers can dedupe) and OCSF 1.x API Activity, class 6003.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from security_common.journal import Outcome, RecordedEvent

__all__ = ["COLUMNS", "FORMATS", "as_members"]

COLUMNS = (
    *("timestamp", "event_type", "outcome", "reason", "service", "tool_name", "user_id", "issuer", "client_id"),
    *("source_address", "subject_reference", "task", "contains_pii", "pii_kinds", "action_taken", "duration_ms"),
    *("trace_id", "event_id", "journal_id", "seq", "prev", "hash"),
)

_OCSF_STATUS = {Outcome.SUCCESS: (1, 1), Outcome.REFUSED: (2, 3), Outcome.FAILURE: (2, 2)}
"""status_id (1 success, 2 failure) and severity_id (1 informational, 2 low, 3 medium)."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_members(event: RecordedEvent) -> dict[str, Any]:
    """JSON-ready members with their names as stored; without those that are unknown."""
    members = {name: value for name, value in asdict(event).items() if value is not None and name != "cursor"}
    return members | {"timestamp": event.timestamp.isoformat(), "pii_kinds": dict(event.pii_kinds)}


def as_json_line(event: RecordedEvent) -> str:
    return _dump(as_members(event))


def as_csv_row(event: RecordedEvent) -> str:
    """One row in the order of COLUMNS. A caller chose some texts: none may act as a formula in a spreadsheet."""
    members = as_members(event) | {"pii_kinds": " ".join(f"{kind}={n}" for kind, n in event.pii_kinds.items())}
    row = [str(members.get(name, "")) for name in COLUMNS]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(
        [f"'{text}" if text.startswith(_FORMULA_STARTS) else text for text in row]
    )
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
    """OCSF API Activity (class_uid 6003), activity Other (99): who called what, from where, with what end."""
    status_id, severity_id = _OCSF_STATUS[event.outcome]
    return _dump(
        {
            "activity_id": 99,
            "activity_name": event.action_taken,
            "category_uid": 6,
            "class_uid": 6003,
            "type_uid": 600399,
            "severity_id": severity_id,
            "status_id": status_id,
            "status_detail": event.reason,
            "time": int(event.timestamp.timestamp() * 1000),
            "duration": None if event.duration_ms is None else round(event.duration_ms),
            "actor": {"user": {"uid": event.user_id}, "app_uid": event.client_id, "idp": {"name": event.issuer}},
            "api": {"operation": event.tool_name or event.event_type, "service": {"name": event.service}},
            "src_endpoint": {"ip": event.source_address},
            "metadata": {
                "version": "1.3.0",
                "uid": event.event_id,
                "correlation_uid": event.trace_id,
                "product": {"name": "MCP OAuth2", "vendor_name": "MCP OAuth2"},
            },
            "unmapped": as_members(event),
        }
    )


FORMATS: Mapping[str, Callable[[RecordedEvent], str]] = {
    "jsonl": as_json_line,
    "csv": as_csv_row,
    "cloudevents": as_cloudevent,
    "ocsf": as_ocsf,
}


def _dump(members: Mapping[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
