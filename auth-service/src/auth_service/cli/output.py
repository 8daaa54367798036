"""How the commands print results: as a table for people, or as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

__all__ = ["Json", "format_time", "print_rows"]

# The option of every command that prints a result.
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Prints a JSON array, or a table whose columns are as wide as their widest value."""
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        return
    names = list(rows[0])
    table = [names, *([_printable(str(row[name])) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def format_time(seconds: float) -> str:
    """The time (seconds since the epoch) in RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _printable(text: str) -> str:
    """Replaces control characters, which a terminal could execute: applications choose their own names."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
