"""The `Mcp-Param-*` headers of a tool call (MCP 2026-07-28, transports, "Custom Headers").

A tool's input schema can name a header for a parameter (`x-mcp-header`). The client repeats the argument in it, the
server compares the two. The gateway does both: it compares what the client sends, and writes the headers for the
upstream from the arguments after the policy was applied to them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from gateway_service.wire.json_rpc import HEADER_MISMATCH, RpcError
from gateway_service.wire.request_headers import decode_value, encode_value
from security_common.edge import RequestHeaders
from security_common.strict_json import WrittenNumber

__all__ = [
    "InvalidParameterHeader",
    "ParameterHeaders",
    "find_parameter_headers",
    "require_equal_headers",
    "write_parameter_headers",
]

ANNOTATION = "x-mcp-header"
PREFIX = "Mcp-Param-"

ParameterHeaders = Mapping[tuple[str, ...], str]
"""The header, without its prefix, by the path of the parameter."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TYPES = frozenset({"string", "integer", "boolean"})
# Members of a schema whose content is data, in which the annotation has no meaning.
_DATA = frozenset({"const", "default", "enum", "examples"})


class InvalidParameterHeader(Exception):
    """The schema of a tool names a header in a way that the specification forbids, so the tool must not be used."""


def find_parameter_headers(schema: Any) -> ParameterHeaders:
    """The headers that the input schema of a tool names. Raises `InvalidParameterHeader`."""
    found: dict[tuple[str, ...], str] = {}
    for path, annotated in _annotated(schema, ()):
        header, kind = annotated[ANNOTATION], annotated.get("type")
        if not path:
            raise InvalidParameterHeader(f"{ANNOTATION} is not on a property")
        if not isinstance(header, str) or not _TOKEN.fullmatch(header):
            raise InvalidParameterHeader(f"{ANNOTATION} is not the name of a header")
        if not isinstance(kind, str) or kind not in _TYPES:
            raise InvalidParameterHeader(f"{ANNOTATION} needs a property of type string, integer or boolean")
        if header.lower() in {other.lower() for other in found.values()}:
            raise InvalidParameterHeader(f"{ANNOTATION} names the same header twice")
        found[path] = header
    return found


def _annotated(schema: Any, path: tuple[str, ...] | None) -> Iterator[tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """The annotated schemas. The path is None if a schema is not reached through `properties` alone."""
    if isinstance(schema, list):
        for each in cast("list[Any]", schema):
            yield from _annotated(each, None)
    if not isinstance(schema, dict):
        return
    members = cast("dict[str, Any]", schema)
    if ANNOTATION in members:
        yield path, members
    for name, value in members.items():
        if name == "properties" and isinstance(value, dict):
            for parameter, each in cast("dict[str, Any]", value).items():
                yield from _annotated(each, None if path is None else (*path, parameter))
        elif name not in _DATA:
            yield from _annotated(value, None)


def require_equal_headers(declared: ParameterHeaders, arguments: Mapping[str, Any], headers: RequestHeaders) -> None:
    """Raises `RpcError` unless each declared header repeats its argument; both can be absent."""
    for path, header in declared.items():
        values = headers.all(f"{PREFIX}{header}".lower().encode())
        expected = _text_of(_argument_at(arguments, path))
        if [decode_value(value) for value in values] != ([] if expected is None else [expected]):
            raise RpcError(HEADER_MISMATCH, f"the header {PREFIX}{header} differs from the argument {'.'.join(path)}")


def write_parameter_headers(declared: ParameterHeaders, arguments: Mapping[str, Any]) -> dict[str, str]:
    """The headers for these arguments."""
    texts = {header: _text_of(_argument_at(arguments, path)) for path, header in declared.items()}
    return {f"{PREFIX}{header}": encode_value(text) for header, text in texts.items() if text is not None}


def _argument_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = arguments
    for step in path:
        value = cast("dict[str, Any]", value).get(step) if isinstance(value, dict) else None
    return value


def _text_of(value: Any) -> str | None:
    """How a value is written in a header; None if it has no such form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, WrittenNumber):
        value = value.number
    if isinstance(value, float) and value.is_integer():  # 42.0 is an integer in JSON Schema
        return str(int(value))
    return str(value) if isinstance(value, str | int) else None
