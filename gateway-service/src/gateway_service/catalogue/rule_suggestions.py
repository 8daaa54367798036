"""Rules for gateway.yaml that follow from the definition of a tool. A person checks them before they are used.

The verb in the tool's name and its hints decide the scope, the names of its fields decide the policy. Hints are
statements of the upstream (MCP 2026-07-28, tools, annotations): a hint that a tool only reads does not outweigh a name
that says otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from security_common.pii import PIIKind, field_context
from security_common.tool_policy.policy import PIIPolicy

__all__ = ["Effect", "SuggestedRule", "suggest_rule"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_READING = _words(
    "browse check count describe diff fetch find get head info inspect list lookup peek ping preview query read resolve"
    " retrieve search select show stat status validate verify view whoami"
)
_EXPORTING = _words("backup download dump export extract")
_DELETING = _words(
    "cancel clear close delete destroy disable drop erase kill purge remove reset revoke stop terminate truncate"
    " uninstall wipe"
)
_STORING = _words("add append create insert new post register save store upload")
_PERSONS = _words(
    "account applicant client contact customer employee guest member owner passenger patient person people student"
    " subscriber tenant user visitor"
)
_IDENTIFIER = re.compile(r"(?:^|_)(?:id|uuid|guid)$|[a-z](?:Id|ID|Uuid|UUID)$")
_KINDS = frozenset(kind.value for kind in PIIKind)
_REVEALED_KINDS = frozenset({PIIKind.EMAIL, PIIKind.PHONE, PIIKind.ADDRESS})
"""Kinds that a tool which sends or books something needs in place of a placeholder."""
MAX_SCHEMA_LEVELS = 12


class Effect(IntEnum):
    """What a tool does, in the order of the damage that it can do."""

    READ = 0
    EXPORT = 1
    WRITE = 2
    DELETE = 3


_SCOPE_ENDINGS = {Effect.READ: "", Effect.EXPORT: ".export", Effect.WRITE: ".write", Effect.DELETE: ".delete"}
_TASKS = {Effect.READ: "view", Effect.EXPORT: "download", Effect.WRITE: "change", Effect.DELETE: "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedRule:
    """A rule as gateway.yaml writes it, and the reasons for it."""

    scope: str
    policy: PIIPolicy | None = None
    identifiers: tuple[str, ...] = ()
    subject: str | None = None
    task: str | None = None
    reveal: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def suggest_rule(upstream: str, definition: Mapping[str, Any]) -> SuggestedRule:
    """The rule for a tool of this upstream. Without a sign of personal data it has a scope only."""
    name = str(definition.get("name", ""))
    words = [word.lower() for word in _WORD.findall(name)]
    effect, reason = _effect_of(words, definition.get("annotations"))
    reasons = [reason]
    inputs = list(_fields_of(definition.get("inputSchema")))
    kinds = _kinds_of(inputs)
    found = kinds | _kinds_of(list(_fields_of(definition.get("outputSchema"))))
    persons = sorted(_PERSONS.intersection(_singular(word) for word in words))
    scope = f"mcp.{upstream}{_SCOPE_ENDINGS[effect]}"
    if found:
        reasons.append(f"fields with personal data: {', '.join(sorted(found))}")
    elif persons and "outputSchema" not in definition:
        reasons.append(f"about a {persons[0]}, and nothing says what a result contains")
    else:
        return SuggestedRule(scope=scope, reasons=tuple(reasons))
    identifiers = tuple(dict.fromkeys(field for field in inputs if _IDENTIFIER.search(field)))
    subjects = [field for field in identifiers if _PERSONS.intersection(map(str.lower, _WORD.findall(field)))]
    task = "store" if effect is Effect.WRITE and _STORING.intersection(words) else _TASKS[effect]
    revealed = sorted(kind for kind in kinds if kind in _REVEALED_KINDS)
    return SuggestedRule(
        scope=scope,
        policy=PIIPolicy.TOKENIZE,
        identifiers=identifiers,
        subject=subjects[0] if len(subjects) == 1 else None,
        task=task,
        reveal=tuple(revealed) if effect is Effect.WRITE else (),
        reasons=tuple(reasons),
    )


def _effect_of(words: list[str], annotations: Any) -> tuple[Effect, str]:
    """What the tool does, and why that is assumed."""
    hints = cast("dict[str, Any]", annotations) if isinstance(annotations, dict) else {}
    if _DELETING.intersection(words):
        return Effect.DELETE, "its name says that it deletes or stops something"
    if hints.get("destructiveHint") is True and hints.get("readOnlyHint") is not True:
        return Effect.DELETE, "destructiveHint"
    if _EXPORTING.intersection(words):
        return Effect.EXPORT, "its name says that it exports data"
    if words and words[0] in _READING:
        if hints.get("readOnlyHint") is False:
            return Effect.WRITE, "its name says that it reads, but readOnlyHint is false"
        return Effect.READ, "its name says that it reads"
    if hints.get("readOnlyHint") is True and not _STORING.intersection(words):
        return Effect.READ, "readOnlyHint"
    return Effect.WRITE, "nothing says that it only reads"


def _fields_of(schema: Any, level: int = 0) -> Iterator[str]:
    """The names of all properties, also of those in nested schemas."""
    if level > MAX_SCHEMA_LEVELS:
        return
    if isinstance(schema, list):
        for each in cast("list[Any]", schema):
            yield from _fields_of(each, level + 1)
    if not isinstance(schema, dict):
        return
    for keyword, value in cast("dict[str, Any]", schema).items():
        if keyword == "properties" and isinstance(value, dict):
            for field, each in cast("dict[str, Any]", value).items():
                yield field
                yield from _fields_of(each, level + 1)
        elif keyword not in {"default", "enum", "const", "examples"}:
            yield from _fields_of(value, level + 1)


def _kinds_of(fields: list[str]) -> set[str]:
    """The kinds of personal data that fields with these names contain.

    A field `name` alone may be that of a thing; it counts beside another field of a person.
    """
    certain: set[str] = set()
    unclear: set[str] = set()
    for field in fields:
        context = field_context(field)
        if context.names_login:
            certain.add(PIIKind.PERSON)
        elif context.kind in _KINDS:
            is_bare_name = context.kind == PIIKind.PERSON and not context.names_person and field.lower() == "name"
            (unclear if is_bare_name else certain).add(context.kind)
    return certain | unclear if certain else set()


def _singular(word: str) -> str:
    return word.removesuffix("s")
