"""The trail as a file: CSV for spreadsheets, JSON Lines for programs. Streamed, so that size does not matter."""

import csv
import json
from collections.abc import AsyncIterator
from dataclasses import fields
from io import StringIO
from typing import Any

from security_common.journal import RecordedEvent

__all__ = ["FORMATS", "as_csv", "as_json_lines"]

COLUMNS = tuple(field.name for field in fields(RecordedEvent) if field.name != "cursor")
# A cell that begins so is a formula to a spreadsheet, and callers choose some of these texts.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def as_csv(events: AsyncIterator[RecordedEvent]) -> AsyncIterator[bytes]:
    """A header line and a line for each event; UTF-8 with a byte order mark, which Excel needs to read Korean."""
    yield "\ufeff".encode() + _csv_line(COLUMNS)
    async for event in events:
        members = _members(event)
        yield _csv_line([_cell(members[name]) for name in COLUMNS])


async def as_json_lines(events: AsyncIterator[RecordedEvent]) -> AsyncIterator[bytes]:
    """An object a line."""
    async for event in events:
        yield json.dumps(_members(event), ensure_ascii=False).encode() + b"\n"


FORMATS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_json_lines, "application/jsonl"),
}


def _members(event: RecordedEvent) -> dict[str, Any]:
    members = {name: getattr(event, name) for name in COLUMNS}
    return members | {"timestamp": event.timestamp.isoformat(), "pii_kinds": dict(event.pii_kinds)}


def _cell(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _csv_line(cells: Any) -> bytes:
    line = StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
