"""Reads a YAML or JSON file, and knows the line of each member for messages."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import yaml

from security_common.errors import SecurityError
from security_common.service import parse_yaml
from security_common.strict_json import parse_json

__all__ = ["DeclarationInvalid", "Document", "read_document"]

MAX_DEPTH = 32
MAX_FILE_BYTES = 4 * 1024 * 1024

Place = Sequence[str | int]


class DeclarationInvalid(SecurityError):
    """A file that declares upstreams cannot be read or is not valid."""

    error: ClassVar[str] = "gateway_declaration_invalid"


@dataclass(frozen=True, slots=True)
class Document:
    """The members of a file, and its digest. `root` has the lines of a YAML document and is None for JSON."""

    path: Path
    members: dict[str, Any]
    root: yaml.Node | None
    sha256: bytes = b""

    def problem(self, place: Place, problem: str, *, hint: str) -> DeclarationInvalid:
        """The error for a member: file, line if known, path in the file, what is wrong and how to fix it."""
        line = _line_of(self.root, place) if self.root is not None else None
        where = f"{self.path}:{line}" if line is not None else str(self.path)
        member = ".".join(map(str, place))
        return DeclarationInvalid(": ".join(part for part in (where, member, problem) if part), hint=hint)


def read_document(path: Path) -> Document:
    """The file, which is JSON if its name ends in `.json` and YAML otherwise. Raises `DeclarationInvalid`."""
    try:
        raw = path.read_bytes()
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
        raise DeclarationInvalid(f"{path}: {reason}", hint="GATEWAY_UPSTREAMS names the file") from failure
    if len(raw) > MAX_FILE_BYTES:
        raise DeclarationInvalid(f"{path}: larger than 4 MiB", hint="declare the upstreams in a smaller file")
    members, root = _parse_json(path, raw) if path.suffix == ".json" else _parse_yaml(path, raw)
    if not isinstance(members, dict) or not all(isinstance(name, str) for name in cast("dict[Any, Any]", members)):
        hint = "start with `upstreams:` (gateway.yaml) or `mcpServers` (JSON)"
        raise DeclarationInvalid(f"{path}: the file must be a mapping", hint=hint)
    return Document(path, cast("dict[str, Any]", members), root, hashlib.sha256(raw).digest())


def _parse_json(path: Path, raw: bytes) -> tuple[Any, None]:
    try:
        return parse_json(raw.removeprefix(b"\xef\xbb\xbf"), max_depth=MAX_DEPTH), None
    except json.JSONDecodeError as failure:
        place = f"{path}:{failure.lineno}:{failure.colno}"
        hint = "write JSON without comments and trailing commas"
        raise DeclarationInvalid(f"{place}: {failure.msg}", hint=hint) from None
    except ValueError as failure:
        raise DeclarationInvalid(f"{path}: {failure}", hint="write JSON in UTF-8, each member once") from None


def _parse_yaml(path: Path, raw: bytes) -> tuple[Any, yaml.Node | None]:
    try:
        text = raw.decode("utf-8-sig")
        root = cast("yaml.Node | None", yaml.compose(text, yaml.SafeLoader))
        if root is not None:
            _require_unique_members(path, root)
        return parse_yaml(text), root
    except yaml.MarkedYAMLError as failure:
        line = failure.problem_mark.line + 1 if failure.problem_mark is not None else 1
        problem = failure.problem or "not YAML"
        raise DeclarationInvalid(f"{path}:{line}: {problem}", hint="check indentation and quotes there") from None
    except (ValueError, yaml.YAMLError) as failure:
        raise DeclarationInvalid(f"{path}: {type(failure).__name__}", hint="it must be YAML in UTF-8") from None


def _require_unique_members(path: Path, root: yaml.Node) -> None:
    """Raises `DeclarationInvalid` for a member that appears twice, of which the parser would use the last."""
    waiting: list[yaml.Node] = [root]
    seen_nodes: set[int] = set()  # an alias makes a node appear more than once
    while waiting:
        node = waiting.pop()
        if id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in names:
                    line = key.start_mark.line + 1
                    raise DeclarationInvalid(f"{path}:{line}: {name} appears twice", hint="keep one of the two")
                names.add(name)
                waiting.append(value)


def _line_of(root: yaml.Node, place: Place) -> int:
    """The line of a member, or that of the innermost part of its path that exists. Lines start at 1."""
    node, line = root, root.start_mark.line
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1
