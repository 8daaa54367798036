"""The tools that a request calls, read from its body.

The body decides in both versions of the MCP protocol: the Mcp-Name header of 2026-07-28 only repeats the name.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from security_common.guard.refusals import InvalidJsonRpcMessage, InvalidMessageId
from security_common.strict_json import parse_json
from security_common.tool_scopes import ToolScopes, scopes_of_call

__all__ = ["CalledTool", "parse_body", "read_called_tools", "replace_lone_surrogates"]

MAX_VALUES = 200_000
"""As many as the tool policy searches in one call."""
LARGE_BODY_BYTES = 32 * 1024
"""A larger body is parsed in a thread, so that the event loop can serve other requests."""

_MAX_DEPTH = 64

# Matches every escape of a JSON string: the `ud83d` after an escaped backslash must not be taken for a surrogate.
_ESCAPE = re.compile(
    rb"\\(?:(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A tool call as the client sent it. The arguments are an object; nothing else about them has been checked."""

    name: str
    arguments: Mapping[str, Any] = field(repr=False)

    def required_scopes(self, tool_scopes: ToolScopes) -> frozenset[str]:
        """The scopes that this call needs in addition to those of the resource."""
        return scopes_of_call(tool_scopes, self.name, self.arguments)


async def parse_body(body: bytes, *, keeps_spelling: bool) -> Any:
    """The JSON document in a body. Raises `InvalidJsonRpcMessage`.

    With `keeps_spelling`, fractions that Python would write differently are of type `WrittenNumber`.
    """
    parse = partial(parse_json, body, max_depth=_MAX_DEPTH, max_values=MAX_VALUES, keeps_spelling=keeps_spelling)
    try:
        return parse() if len(body) <= LARGE_BODY_BYTES else await asyncio.to_thread(parse)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonRpcMessage(
            "the body must be strict JSON in UTF-8: no repeated members, no NaN, "
            f"at most {_MAX_DEPTH} levels and {MAX_VALUES} values"
        ) from error


def read_called_tools(document: Any) -> tuple[CalledTool, ...]:
    """The calls of all `tools/call` messages, batches included. Raises `InvalidMessageId`.

    Whether the Mcp-Name header names the same tool is checked by the MCP server, as the specification requires.
    """
    messages = cast("list[Any]", document) if isinstance(document, list) else [document]
    for message in messages:
        _require_valid_id(message)
    return tuple(call for call in map(_called_tool, messages) if call is not None)


def replace_lone_surrogates(body: bytes) -> bytes:
    """The JSON text with U+FFFD in place of every escaped half of a surrogate pair.

    Such an escape is allowed by the grammar (RFC 8259 section 8.2), and JavaScript clients send it when they cut a text
    in the middle of an emoji, but the string cannot be encoded in UTF-8. The rest of the text is unchanged.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda match: match[0] if match["half"] is None else b"\\ufffd", body)


def _require_valid_id(message: Any) -> None:
    """Raises `InvalidMessageId` for a request. A message without the member `id` is a notification."""
    if not isinstance(message, dict):
        return
    members = cast("dict[str, Any]", message)
    if "method" not in members or "id" not in members:
        return
    message_id = members["id"]
    if isinstance(message_id, bool) or not isinstance(message_id, str | int):
        raise InvalidMessageId("the id of a JSON-RPC request must be a string or an integer")


def _called_tool(message: Any) -> CalledTool | None:
    if not isinstance(message, dict):
        return None
    members = cast("dict[str, Any]", message)
    params: Any = members.get("params")
    if members.get("method") != "tools/call" or not isinstance(params, dict):
        return None
    named = cast("dict[str, Any]", params)
    name, arguments = named.get("name"), named.get("arguments")
    if not isinstance(name, str):
        return None
    return CalledTool(name, cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {})
