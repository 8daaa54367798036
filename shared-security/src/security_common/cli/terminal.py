"""How commands speak to a person: colours on a terminal only, one event on one line."""

import json
import os
import sys
from typing import Any, TextIO

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.alerts import describe_alert, is_alert
from security_common.audit.reading.export import as_json_line

__all__ = ["paint", "print_event", "print_json"]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "grey": "90"}
_OUTCOME_COLOURS = {Outcome.SUCCESS: "green", Outcome.REFUSED: "yellow", Outcome.FAILURE: "red", Outcome.ALERT: "red"}


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colours a text unless the stream is no terminal or NO_COLOR is set (no-color.org)."""
    if os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def print_event(event: RecordedEvent, *, as_json: bool) -> None:
    """One line. Texts that a caller chose cannot move the cursor or change colours."""
    if as_json:
        print(as_json_line(event), flush=True)
        return
    who = "/".join(filter(None, (event.user_id, event.client_id))) or "-"
    found = " ".join(f"{kind}:{count}" for kind, count in event.pii_kinds.items())
    told_of_alert = describe_alert(event) if is_alert(event) else ""
    details = (event.tool_name, event.action_taken, event.reason, told_of_alert, event.source_address, found)
    told = " ".join(filter(None, (event.event_type, who, *details)))
    moment = paint(f"{event.timestamp:%Y-%m-%d %H:%M:%S}", "grey")
    kind = Outcome.ALERT if is_alert(event) else event.outcome
    outcome = paint(f"{kind:8}", _OUTCOME_COLOURS[kind])
    print(moment, outcome, "".join(c if c.isprintable() else "?" for c in told), flush=True)
