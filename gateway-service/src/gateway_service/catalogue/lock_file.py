"""gateway.lock: the definitions of the upstreams that a person has approved.

    {"format": "mcp-gateway-lock/1",
     "upstreams": {"crm": {"source": "https://crm.internal/mcp", "source_digest": "sha256:…",
                           "protocol_version": "2026-07-28",
                           "instructions": {"digests": ["sha256:…"], "definition": {"instructions": "…"}},
                           "tools": {"find_customer": {"digests": ["sha256:…"], "definition": {…}}},
                           "prompts": {…}, "resources": {…}, "resource_templates": {…}}},
     "signatures": [{"protected": "…", "signature": "…"}]}

The first digest is that of the definition, which clients get. A second one is accepted from the upstream as well, so
that two releases of a server can run beside each other while a new one is deployed.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import rfc8785

from gateway_service.catalogue.definitions import (
    DefinitionKind,
    NotCanonical,
    approved_members,
    definition_digest,
    name_of,
)
from gateway_service.catalogue.invisible_characters import escape_invisible
from security_common.errors import SecurityError
from security_common.private_files import replace_file
from security_common.strict_json import parse_json

__all__ = [
    "NOTHING_PINNED_HINT",
    "ApprovedDefinition",
    "ApprovedUpstream",
    "Lock",
    "LockInvalid",
    "read_lock",
    "write_lock",
]

FORMAT = "mcp-gateway-lock/1"
NOTHING_PINNED_HINT = (
    "clients get whatever the upstreams describe; `gateway-service pin` and `gateway-service approve` pin it"
)
MAX_APPROVED_DIGESTS = 2
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 96
FILE_MODE = 0o644
"""The file contains nothing secret; it belongs in the repository beside gateway.yaml."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class LockInvalid(SecurityError):
    """gateway.lock cannot be read, is not valid, or is not signed as the settings demand."""

    error: ClassVar[str] = "gateway_lock_invalid"


@dataclass(frozen=True, slots=True)
class ApprovedDefinition:
    """A definition as it was approved, and the digests of what the upstream may send."""

    definition: Mapping[str, Any] = field(repr=False)
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedUpstream:
    """What was approved of one upstream.

    `source` is its URL without a query, or its program; `source_digest` covers everything that says how it is reached.
    """

    source: str = ""
    source_digest: str = ""
    protocol_version: str = ""
    definitions: Mapping[DefinitionKind, Mapping[str, ApprovedDefinition]] = field(
        default_factory=dict[DefinitionKind, Mapping[str, ApprovedDefinition]]
    )

    def of(self, kind: DefinitionKind) -> Mapping[str, ApprovedDefinition]:
        """The approved definitions of one kind by name."""
        return self.definitions.get(kind, {})

    @property
    def instructions(self) -> str | None:
        """The approved instructions of the server."""
        approved = self.of(DefinitionKind.INSTRUCTIONS).get("")
        return None if approved is None else str(approved.definition["instructions"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The content of gateway.lock. `signatures` are detached signatures of it in the form of JWS JSON."""

    upstreams: Mapping[str, ApprovedUpstream] = field(default_factory=dict[str, ApprovedUpstream])
    signatures: tuple[Mapping[str, str], ...] = ()

    def with_upstream(self, name: str, approved: ApprovedUpstream) -> Self:
        """The lock with another approval of one upstream. Its signatures are not valid any more and are left out."""
        return replace(self, upstreams={**self.upstreams, name: approved}, signatures=())

    @property
    def signed_bytes(self) -> bytes:
        """The canonical JSON (RFC 8785) of the file without signatures and definitions, which the digests represent."""
        return rfc8785.dumps(_to_members(self, with_definitions=False))

    @property
    def digest(self) -> str:
        """SHA-256 of the signed bytes, in hexadecimal, for metrics and the audit trail."""
        return hashlib.sha256(self.signed_bytes).hexdigest()


def read_lock(path: Path) -> Lock | None:
    """The lock, or None if the file does not exist. Raises `LockInvalid`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
        raise LockInvalid(f"{path}: {reason}", hint="the gateway must be able to read it") from failure
    if len(raw) > MAX_FILE_BYTES:
        raise LockInvalid(f"{path}: larger than 64 MiB", hint="remove upstreams that are not used any more")
    try:
        return _read_members(parse_json(raw, max_depth=MAX_DEPTH))
    except _Malformed as failure:
        raise LockInvalid(f"{path}: {failure}", hint="do not edit the file; run `gateway-service pin`") from None
    except ValueError as failure:
        hint = "after a merge conflict, take one side and run `gateway-service pin`"
        raise LockInvalid(f"{path}: not JSON: {type(failure).__name__}", hint=hint) from None


def write_lock(path: Path, lock: Lock) -> None:
    """Writes the file, or replaces it. Characters that editors do not show are escaped. Raises OSError."""
    members = _to_members(lock)
    if lock.signatures:
        members["signatures"] = [dict(each) for each in lock.signatures]
    text = json.dumps(members, ensure_ascii=False, indent=1, allow_nan=False)
    replace_file(path, f"{escape_invisible(text)}\n", mode=FILE_MODE)


class _Malformed(Exception):
    """The text says what in the file is wrong."""


def _to_members(lock: Lock, *, with_definitions: bool = True) -> dict[str, Any]:
    upstreams = {
        name: _upstream_members(each, with_definitions=with_definitions)
        for name, each in sorted(lock.upstreams.items())
    }
    return {"format": FORMAT, "upstreams": upstreams}


def _upstream_members(upstream: ApprovedUpstream, *, with_definitions: bool) -> dict[str, Any]:
    members: dict[str, Any] = {
        "source": upstream.source,
        "source_digest": upstream.source_digest,
        "protocol_version": upstream.protocol_version,
    }
    for kind in DefinitionKind:
        entries = {
            name: _definition_members(each, with_definition=with_definitions)
            for name, each in sorted(upstream.of(kind).items())
        }
        if entries:
            members[kind.lock_member] = entries[""] if kind is DefinitionKind.INSTRUCTIONS else entries
    return members


def _definition_members(approved: ApprovedDefinition, *, with_definition: bool) -> dict[str, Any]:
    members: dict[str, Any] = {"digests": list(approved.digests)}
    if with_definition:
        members["definition"] = dict(approved.definition)
    return members


def _read_members(document: Any) -> Lock:
    members = _object(document, "the file")
    if members.get("format") != FORMAT:
        raise _Malformed(f"its `format` is not {FORMAT}")
    upstreams = _object(members.get("upstreams"), "upstreams")
    return Lock(
        upstreams={name: _read_upstream(name, each) for name, each in upstreams.items()},
        signatures=_read_signatures(members.get("signatures", [])),
    )


def _read_upstream(name: str, document: Any) -> ApprovedUpstream:
    members = _object(document, name)
    definitions: dict[DefinitionKind, Mapping[str, ApprovedDefinition]] = {}
    for kind in DefinitionKind:
        entries: Any = members.get(kind.lock_member)
        if entries is None:
            continue
        named = {"": entries} if kind is DefinitionKind.INSTRUCTIONS else _object(entries, f"{name}.{kind.lock_member}")
        definitions[kind] = {each: _read_definition(kind, name, each, entry) for each, entry in named.items()}
    return ApprovedUpstream(
        source=_text_or_empty(members.get("source")),
        source_digest=_text_or_empty(members.get("source_digest")),
        protocol_version=_text_or_empty(members.get("protocol_version")),
        definitions=definitions,
    )


def _text_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read_definition(kind: DefinitionKind, upstream: str, name: str, document: Any) -> ApprovedDefinition:
    place = f"{upstream}: {kind} {name}".rstrip()
    members = _object(document, place)
    definition = _object(members.get("definition"), place)
    digests: Any = members.get("digests")
    if not isinstance(digests, list) or not 1 <= len(cast("list[Any]", digests)) <= MAX_APPROVED_DIGESTS:
        raise _Malformed(f"{place} needs one or two digests")
    listed = cast("Sequence[Any]", digests)
    if not all(isinstance(each, str) and _DIGEST.fullmatch(each) for each in listed):
        raise _Malformed(f"{place} has a digest that is not `sha256:` and 64 hexadecimal digits")
    if name_of(kind, definition) != name:
        raise _Malformed(f"{place} has the definition of another one")
    if kind is DefinitionKind.INSTRUCTIONS and not isinstance(definition.get("instructions"), str):
        raise _Malformed(f"{place} are not a text")
    try:
        digest = definition_digest(kind, definition)
    except NotCanonical as failure:
        raise _Malformed(f"{place}: {failure}") from None
    if listed[0] != digest:
        raise _Malformed(f"{place} was changed: its first digest is not that of its definition")
    return ApprovedDefinition(approved_members(kind, definition), tuple(listed))


def _read_signatures(document: Any) -> tuple[Mapping[str, str], ...]:
    if not isinstance(document, list):
        raise _Malformed("`signatures` must be an array")
    found: list[Mapping[str, str]] = []
    for each in cast("list[Any]", document):
        members = _object(each, "signatures")
        if not all(isinstance(members.get(name), str) for name in ("protected", "signature")):
            raise _Malformed("a signature needs `protected` and `signature`")
        found.append({name: members[name] for name in ("protected", "signature")})
    return tuple(found)


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Malformed(f"{place} must be an object")
    return cast("dict[str, Any]", value)
