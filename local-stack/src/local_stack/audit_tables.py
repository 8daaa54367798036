"""Writes the tables of event types, actions and reasons in docs/audit.md from the enums (`make docs`).

A table is between the comments `<!-- table of EventType, written by make docs -->` and `<!-- end of table -->`.
"""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from security_common.audit import Action, EventType, Reason

__all__ = ["describe_members", "render"]

_TABLE = re.compile(r"(<!-- table of (\w+), written by make docs -->\n).*?(<!-- end of table -->)", re.DOTALL)
_EVENT_DESCRIPTION = re.compile(r"(.+?): (.+?)\.(?: Details: (.+)\.)?")


def render(page: str) -> str:
    """The page with its tables replaced by current ones. Raises KeyError for a table that is not known."""
    return _TABLE.sub(lambda found: f"{found[1]}{_TABLES[found[2]]()}{found[3]}", page)


def describe_members(vocabulary: type[StrEnum]) -> Mapping[str, str]:
    """The value of each member and the docstring below it, on one line. Raises ValueError where one has none."""
    (definition,) = ast.parse(inspect.getsource(vocabulary)).body
    statements = definition.body if isinstance(definition, ast.ClassDef) else []
    descriptions: dict[str, str] = {}
    member: str | None = None
    for statement in statements:
        match statement:
            case ast.Assign(value=ast.Constant(value=str(value))):
                member = value
            case ast.Expr(value=ast.Constant(value=str(docstring))) if member is not None:
                descriptions[member] = " ".join(docstring.split())
                member = None
            case _:
                pass
    undescribed = set(vocabulary) - set(descriptions)
    if undescribed:
        raise ValueError(f"members of {vocabulary.__name__} without a docstring: {', '.join(sorted(undescribed))}")
    return descriptions


def _event_types() -> str:
    rows = "| event_type | written by | when | details besides caller, time and source address |\n|---|---|---|---|\n"
    for name, description in describe_members(EventType).items():
        parts = _EVENT_DESCRIPTION.fullmatch(description)
        if parts is None:
            raise ValueError(f"the docstring of {name} does not have the form `written by: when. Details: what.`")
        rows += f"| `{name}` | {parts[1]} | {parts[2]} | {parts[3] or ''} |\n"
    return rows


def _actions() -> str:
    return _meanings("action_taken", Action)


def _reasons() -> str:
    return _meanings("reason", Reason)


def _meanings(column: str, vocabulary: type[StrEnum]) -> str:
    rows = f"| {column} | meaning |\n|---|---|\n"
    for name, description in describe_members(vocabulary).items():
        rows += f"| `{name}` | {description} |\n"
    return rows


_TABLES = {"EventType": _event_types, "Action": _actions, "Reason": _reasons}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
