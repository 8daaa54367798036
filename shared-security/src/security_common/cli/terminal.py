"""Output of the commands: colours only on a terminal, and one event on each line."""

import json
import os
import sys
from typing import Any, TextIO

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.alerts import describe_alert, is_alert
from security_common.audit.reading.export import as_json_line

__all__ = ["ExportProgress", "paint", "print_event", "print_json", "print_note"]

PROGRESS_EVERY_EVENTS = 1000

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "grey": "90"}
_OUTCOME_COLOURS = {Outcome.SUCCESS: "green", Outcome.REFUSED: "yellow", Outcome.FAILURE: "red", Outcome.ALERT: "red"}


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colours a text, unless the stream is not a terminal or NO_COLOR is set (no-color.org)."""
    if os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_note(note: str) -> None:
    """Prints a note to stderr, unless it is empty."""
    if note:
        print(paint(f"note: {note}", "yellow", sys.stderr), file=sys.stderr)


class ExportProgress:
    """Shows on stderr how many events were written, if it is a terminal. `total` is None if it is unknown."""

    def __init__(self, total: int | None) -> None:
        self._of_total = "" if total is None else f" of {total:,}"
        self._is_shown = sys.stderr.isatty()

    def show(self, count: int) -> None:
        if self._is_shown and count % PROGRESS_EVERY_EVENTS == 0:
            print(f"\r{count:,}{self._of_total} events", end="\r", file=sys.stderr, flush=True)


def print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def print_event(event: RecordedEvent, *, as_json: bool) -> None:
    """Prints one line. Unprintable characters are replaced, because callers choose some of the texts."""
    if as_json:
        print(as_json_line(event), flush=True)
        return
    caller = "/".join(filter(None, (event.user_id, event.client_id))) or "-"
    pii_kinds = " ".join(f"{kind}:{count}" for kind, count in event.pii_kinds.items())
    revealed_kinds = " ".join(f"{kind}:{count}" for kind, count in event.revealed_kinds.items())
    revealed = f"revealed {revealed_kinds}" if revealed_kinds else ""
    alert = describe_alert(event) if is_alert(event) else ""
    details = (event.tool_name, event.action_taken, event.reason, alert, event.source_address, pii_kinds, revealed)
    text = " ".join(filter(None, (event.event_type, caller, *details)))
    printable = "".join(character if character.isprintable() else "?" for character in text)
    outcome = Outcome.ALERT if is_alert(event) else event.outcome
    time = paint(f"{event.timestamp:%Y-%m-%d %H:%M:%S}", "grey")
    print(time, paint(f"{outcome:8}", _OUTCOME_COLOURS[outcome]), printable, flush=True)
