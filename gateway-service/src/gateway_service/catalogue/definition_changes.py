"""What an upstream offers, compared with what was approved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self, cast

from gateway_service.catalogue.definitions import (
    DefinitionKind,
    NotCanonical,
    OfferedDefinitions,
    approved_members,
    canonical_members,
    definition_digest,
    name_of,
)
from gateway_service.catalogue.lock_file import ApprovedDefinition, ApprovedUpstream
from security_common.tool_policy import ToolPolicyError

__all__ = ["ChangeKind", "DefinitionChange", "ToolDefinitionChanged", "approve", "definitions_by_name", "find_changes"]

TEXT_MEMBERS = frozenset({"title", "description", "icons", "instructions"})
"""Members that only people and models read: clients still get the approved ones, and calls are the same."""


class ToolDefinitionChanged(ToolPolicyError):
    """The upstream describes the tool differently from what was approved, so it may do something else as well."""

    error: ClassVar[str] = "tool_definition_changed"

    @classmethod
    def of(cls, upstream: str) -> Self:
        """The error for a tool of this upstream."""
        return cls(
            f"{upstream} has changed the definition of this tool since it was approved",
            hint="the operator of the gateway has to approve it with `gateway-service pin` and `approve`",
        )


class ChangeKind(StrEnum):
    """How an offered definition differs from the approved one."""

    ADDED = "added"
    REMOVED = "removed"
    TEXT = "text"
    INTERFACE = "interface"
    """A schema, an annotation or another member that is not only read."""


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One difference. `members` are the names of the members that differ; `offered` is what the upstream sends now."""

    kind: DefinitionKind
    name: str
    change_kind: ChangeKind
    members: tuple[str, ...] = ()
    offered: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        what = self.kind.value if self.kind is DefinitionKind.INSTRUCTIONS else f"{self.kind} {self.name}"
        match self.change_kind:
            case ChangeKind.ADDED:
                return f"{what}: not approved yet"
            case ChangeKind.REMOVED:
                return f"{what}: not offered any more"
            case ChangeKind.TEXT:
                return f"{what}: another text ({', '.join(self.members)})"
            case ChangeKind.INTERFACE:
                return f"{what}: another definition ({', '.join(self.members)})"


def find_changes(approved: ApprovedUpstream, offered: OfferedDefinitions) -> tuple[DefinitionChange, ...]:
    """Every difference, in the order of kinds and names. Definitions without a name are ignored."""
    return tuple(
        change
        for kind in DefinitionKind
        for change in _changes_of_kind(kind, approved.of(kind), definitions_by_name(kind, offered.of(kind)))
    )


def approve(kind: DefinitionKind, definition: Mapping[str, Any]) -> ApprovedDefinition:
    """The definition as an approved one. Raises `NotCanonical`."""
    return ApprovedDefinition(approved_members(kind, definition), (definition_digest(kind, definition),))


def definitions_by_name(kind: DefinitionKind, definitions: Sequence[Any]) -> dict[str, Mapping[str, Any] | None]:
    """The definitions by name. The value is None for a name that several definitions have."""
    names = [name_of(kind, each) for each in definitions]
    uses = Counter(names)
    return {
        name: cast("Mapping[str, Any]", definition) if uses[name] == 1 else None
        for name, definition in zip(names, definitions, strict=True)
        if name is not None
    }


def _changes_of_kind(
    kind: DefinitionKind, approved: Mapping[str, ApprovedDefinition], offered: Mapping[str, Mapping[str, Any] | None]
) -> list[DefinitionChange]:
    changes: list[DefinitionChange] = []
    for name in sorted(approved.keys() | offered.keys()):
        known = approved.get(name)
        if name not in offered:
            changes.append(DefinitionChange(kind, name, ChangeKind.REMOVED))
            continue
        definition = offered[name]
        if known is None:
            changes.append(DefinitionChange(kind, name, ChangeKind.ADDED, offered=definition))
        elif definition is None:
            changes.append(DefinitionChange(kind, name, ChangeKind.INTERFACE, ("name",)))
        elif not _is_approved(kind, known, definition):
            changes.append(_change_of_definition(kind, name, known, definition))
    return changes


def _is_approved(kind: DefinitionKind, known: ApprovedDefinition, definition: Mapping[str, Any]) -> bool:
    try:
        return definition_digest(kind, definition) in known.digests
    except NotCanonical:
        return False


def _change_of_definition(
    kind: DefinitionKind, name: str, known: ApprovedDefinition, definition: Mapping[str, Any]
) -> DefinitionChange:
    approved = canonical_members(kind, known.definition)
    try:
        members = canonical_members(kind, definition)
    except NotCanonical:
        return DefinitionChange(kind, name, ChangeKind.INTERFACE, ("a number that JSON cannot express",))
    names = sorted(approved.keys() | members.keys())
    differing = tuple(member for member in names if approved.get(member) != members.get(member))
    is_text = bool(differing) and TEXT_MEMBERS.issuperset(differing)
    return DefinitionChange(kind, name, ChangeKind.TEXT if is_text else ChangeKind.INTERFACE, differing, definition)
