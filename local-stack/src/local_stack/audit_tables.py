"""Writes the tables of event types, actions and reasons in audit.md, in both languages, from the enums (`make docs`).

A table is between the comments `<!-- table of EventType, written by make docs -->` and `<!-- end of table -->`.
"""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from local_stack.page_languages import KOREAN, Language, translate
from security_common.audit import Action, EventType, Reason

__all__ = ["describe_members", "render"]

_TABLE = re.compile(r"(<!-- table of (\w+), written by make docs -->\n).*?(<!-- end of table -->)", re.DOTALL)
_EVENT_DESCRIPTION = re.compile(r"(.+?): (.+?)\.(?: Details: (.+)\.)?")


def render(page: str, language: Language = "en") -> str:
    """The page with its tables replaced by current ones.

    Raises KeyError for a table that is not known, or a description without a translation.
    """
    return _TABLE.sub(lambda found: f"{found[1]}{_TABLES[found[2]](language)}{found[3]}", page)


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


def _event_types(language: Language) -> str:
    columns = "| event_type | written by | when | details besides caller, time and source address |"
    rows = f"{translate(columns, language)}\n|---|---|---|---|\n"
    for name, description in describe_members(EventType).items():
        parts = _EVENT_DESCRIPTION.fullmatch(description)
        if parts is None:
            raise ValueError(f"the docstring of {name} does not have the form `written by: when. Details: what.`")
        writers, when, details = parts[1], parts[2], parts[3] or ""
        if language == "ko":
            writers = KOREAN["writers"].get(writers, writers)
            when, details = KOREAN["event_types"][name]
        rows += f"| `{name}` | {writers} | {when} | {details} |\n"
    return rows


def _actions(language: Language) -> str:
    descriptions = describe_members(Action) if language == "en" else KOREAN["actions"]
    return _meanings("| action_taken | meaning |", Action, descriptions, language)


def _reasons(language: Language) -> str:
    descriptions = describe_members(Reason) if language == "en" else KOREAN["reasons"]
    return _meanings("| reason | meaning |", Reason, descriptions, language)


def _meanings(columns: str, vocabulary: type[StrEnum], descriptions: Mapping[str, str], language: Language) -> str:
    rows = f"{translate(columns, language)}\n|---|---|\n"
    for name in vocabulary:
        rows += f"| `{name}` | {descriptions[name]} |\n"
    return rows


_TABLES = {"EventType": _event_types, "Action": _actions, "Reason": _reasons}


def _write(page: Path, language: Language) -> None:
    page.write_text(render(page.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    _write(docs / "audit.md", "en")
    _write(docs / "ko/audit.md", "ko")
