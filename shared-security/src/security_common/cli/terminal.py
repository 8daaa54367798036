"""How commands speak to a person: colours on a terminal only, progress on stderr, one event on one line."""

import json
import os
import sys
from typing import Any, TextIO

from security_common.journal import Outcome, RecordedEvent
from security_common.review.export import as_json_line

__all__ = ["Progress", "paint", "print_event", "print_json"]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "grey": "90"}
_OUTCOME_COLOURS = {Outcome.SUCCESS: "green", Outcome.REFUSED: "yellow", Outcome.FAILURE: "red"}


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colours a text unless the stream is no terminal or NO_COLOR is set (no-color.org)."""
    if os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2))


def print_event(event: RecordedEvent, *, as_json: bool) -> None:
    """One line. Texts that a caller chose cannot move the cursor or change colours."""
    if as_json:
        print(as_json_line(event), flush=True)
        return
    who = "/".join(filter(None, (event.user_id, event.client_id))) or "-"
    found = " ".join(f"{kind}:{count}" for kind, count in event.pii_kinds.items())
    details = (event.tool_name, event.action_taken, event.reason, event.source_address, found)
    told = " ".join(filter(None, (event.event_type, who, *details)))
    moment = paint(f"{event.timestamp:%Y-%m-%d %H:%M:%S}", "grey")
    outcome = paint(f"{event.outcome:8}", _OUTCOME_COLOURS[event.outcome])
    print(moment, outcome, "".join(c if c.isprintable() else "?" for c in told), flush=True)


class Progress:
    """A percentage on stderr, while a terminal looks on."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = max(total, 1)
        self._done = 0
        self._shown = -1

    def advance(self, amount: int) -> None:
        self._done += amount
        percent = min(100, self._done * 100 // self._total)
        if percent != self._shown and sys.stderr.isatty():
            self._shown = percent
            sys.stderr.write(f"\r{self._what} {percent} %")

    def finish(self) -> None:
        if self._shown >= 0:
            sys.stderr.write("\r\x1b[K")
