"""The event types, actions and reasons in the code are the ones that audit.md lists, in English and Korean."""

import ast
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from local_stack.audit_tables import render
from local_stack.page_languages import KOREAN, Language
from security_common.audit import Action, EventType, Reason

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES: dict[Language, Path] = {"en": DOCS / "audit.md", "ko": DOCS / "ko/audit.md"}
SOURCES = ("auth-service/src", "mcp-resource-service/src", "gateway-service/src", "shared-security/src")
# The values of these are chosen at run time, by the name of an export format.
COMPUTED_ACTIONS = {Action.EXPORTED_CSV, Action.EXPORTED_JSONL}


def syntax_trees() -> Iterator[ast.AST]:
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def used_members(vocabulary: type[StrEnum]) -> set[StrEnum]:
    """The members that occur anywhere in the source as `Vocabulary.MEMBER`."""
    return {
        vocabulary[node.attr]
        for node in syntax_trees()
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == vocabulary.__name__
        and node.attr in vocabulary.__members__
    }


@pytest.mark.parametrize("language", PAGES)
def test_the_tables_of_the_page_are_current(language: Language) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    assert text.count("written by make docs") == 3
    assert text == render(text, language), "run: make docs"


@pytest.mark.parametrize(
    ("table", "vocabulary"), [("event_types", EventType), ("actions", Action), ("reasons", Reason)]
)
def test_every_korean_description_is_of_a_member(table: str, vocabulary: type[StrEnum]) -> None:
    assert set(KOREAN[table]) == {member.value for member in vocabulary}


def test_every_event_type_and_action_is_used() -> None:
    assert used_members(EventType) == set(EventType)
    assert used_members(Action) | COMPUTED_ACTIONS == set(Action)


@pytest.mark.parametrize("keyword", ["event_type", "action_taken", "action"])
def test_no_event_is_recorded_with_a_string_in_place_of_a_member(keyword: str) -> None:
    values = [
        argument.value.value
        for node in syntax_trees()
        if isinstance(node, ast.Call)
        for argument in node.keywords
        if argument.arg == keyword and isinstance(argument.value, ast.Constant)
    ]
    assert [value for value in values if isinstance(value, str)] == []
