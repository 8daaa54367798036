"""What is approved of a definition, and its digest.

The digest is SHA-256 over `mcp-definition/1`, the kind and the canonical JSON (RFC 8785) of the approved members,
separated by line breaks. Members whose changes do not matter to clients (the size of a resource, the time of its last
change) and members that the gateway does not relay are left out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import rfc8785

__all__ = [
    "DefinitionKind",
    "NotCanonical",
    "OfferedDefinitions",
    "approved_members",
    "canonical_members",
    "definition_digest",
    "name_of",
]

DIGEST_LABEL = b"mcp-definition/1"
MAX_EXACT_INTEGER = 2**53 - 1
"""Numbers of JSON are IEEE 754 doubles (RFC 8785 section 3.2.2.3), which have no larger exact integers."""


class DefinitionKind(StrEnum):
    """What a server describes. The value is the kind's name in the digest and in messages."""

    INSTRUCTIONS = "instructions"
    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    RESOURCE_TEMPLATE = "resource template"

    @property
    def lock_member(self) -> str:
        """The member of the lock that has the definitions of this kind."""
        return self.value if self is DefinitionKind.INSTRUCTIONS else f"{self.value.replace(' ', '_')}s"


_MEMBERS: Mapping[DefinitionKind, tuple[str, ...]] = {
    DefinitionKind.INSTRUCTIONS: ("instructions",),
    DefinitionKind.TOOL: (
        "name",
        "title",
        "description",
        "inputSchema",
        "outputSchema",
        "annotations",
        "execution",
        "icons",
    ),
    DefinitionKind.PROMPT: ("name", "title", "description", "arguments", "icons"),
    DefinitionKind.RESOURCE: ("uri", "name", "title", "description", "mimeType", "annotations", "icons"),
    DefinitionKind.RESOURCE_TEMPLATE: (
        "uriTemplate",
        "name",
        "title",
        "description",
        "mimeType",
        "annotations",
        "icons",
    ),
}
_NAME_MEMBERS = {DefinitionKind.RESOURCE: "uri", DefinitionKind.RESOURCE_TEMPLATE: "uriTemplate"}
_SCHEMAS = frozenset({"inputSchema", "outputSchema"})


class NotCanonical(Exception):
    """The definition has no canonical form, for example because of a number that is not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDefinitions:
    """What an upstream offers, as it was sent. Nothing about the definitions has been checked."""

    protocol_version: str = ""
    instructions: str | None = None
    tools: Sequence[Any] = ()
    prompts: Sequence[Any] = ()
    resources: Sequence[Any] = ()
    resource_templates: Sequence[Any] = ()

    def of(self, kind: DefinitionKind) -> Sequence[Any]:
        """The definitions of one kind. The instructions are one definition, if there are any."""
        match kind:
            case DefinitionKind.INSTRUCTIONS:
                return [{"instructions": self.instructions}] if self.instructions else []
            case DefinitionKind.TOOL:
                return self.tools
            case DefinitionKind.PROMPT:
                return self.prompts
            case DefinitionKind.RESOURCE:
                return self.resources
            case DefinitionKind.RESOURCE_TEMPLATE:
                return self.resource_templates


def name_of(kind: DefinitionKind, definition: Any) -> str | None:
    """The name or URI that clients use, or None if there is none. The instructions of a server have the name ""."""
    if kind is DefinitionKind.INSTRUCTIONS:
        return ""
    if not isinstance(definition, dict):
        return None
    name: Any = cast("dict[str, Any]", definition).get(_NAME_MEMBERS.get(kind, "name"))
    return name if isinstance(name, str) and name else None


def approved_members(kind: DefinitionKind, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a person approves, in the order in which the server sends them."""
    members = {name: value for name, value in definition.items() if name in _MEMBERS[kind]}
    annotations: Any = members.get("annotations")
    if kind is not DefinitionKind.TOOL and isinstance(annotations, dict):
        lasting = cast("dict[str, Any]", annotations)
        members["annotations"] = {name: value for name, value in lasting.items() if name != "lastModified"}
    metadata: Any = definition.get("_meta")
    if isinstance(metadata, dict) and "ui" in metadata:
        members["_meta"] = {"ui": metadata["ui"]}
    return members


def definition_digest(kind: DefinitionKind, definition: Mapping[str, Any]) -> str:
    """The digest as `sha256:` and hexadecimal digits. Raises `NotCanonical`."""
    members = canonical_members(kind, definition)
    # The names of the members are ASCII, so their order is that of RFC 8785 section 3.2.3.
    text = b",".join(b'"%b":%b' % (name.encode(), members[name]) for name in sorted(members))
    digest = hashlib.sha256(b"\n".join([DIGEST_LABEL, kind.encode(), b"{%b}" % text]))
    return f"sha256:{digest.hexdigest()}"


def canonical_members(kind: DefinitionKind, definition: Mapping[str, Any]) -> dict[str, bytes]:
    """The canonical JSON of each approved member. Raises `NotCanonical`."""
    members = approved_members(kind, definition)
    try:
        return {name: rfc8785.dumps(_canonical(value, is_schema=name in _SCHEMAS)) for name, value in members.items()}
    except rfc8785.CanonicalizationError as failure:
        raise NotCanonical("the definition has no canonical form in JSON") from failure


def _canonical(value: Any, *, is_schema: bool) -> Any:
    """The value with large integers as doubles, and with the names of required members of a schema in order."""
    if isinstance(value, dict):
        members = {name: _canonical(each, is_schema=is_schema) for name, each in cast("dict[str, Any]", value).items()}
        required: Any = members.get("required")
        if (
            is_schema
            and isinstance(required, list)
            and all(isinstance(name, str) for name in cast("list[Any]", required))
        ):
            members["required"] = sorted(cast("list[str]", required))
        return members
    if isinstance(value, list):
        return [_canonical(each, is_schema=is_schema) for each in cast("list[Any]", value)]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_EXACT_INTEGER:
        try:
            return float(value)
        except OverflowError as failure:
            raise NotCanonical("a number of the definition is out of range") from failure
    return value
