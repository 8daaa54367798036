"""The tools that a request calls, read from its body: both versions of the MCP protocol name them only there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.guard.refusals import UnreadableCall
from security_common.tokens.strict_json import parse_json
from security_common.tool_scopes import ToolScopes, required_scopes

__all__ = ["CalledTool", "read_called_tools"]

_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A tool call as the client sent it. The arguments are an object; nothing else about them has been checked."""

    name: str
    arguments: Mapping[str, Any] = field(repr=False)

    def needed_scopes(self, tool_scopes: ToolScopes) -> frozenset[str]:
        """The scopes that this call needs beside those of the resource."""
        return required_scopes(tool_scopes, self.name, self.arguments)


def read_called_tools(body: bytes) -> tuple[CalledTool, ...]:
    """The calls of all `tools/call` messages, batches included. Raises `UnreadableCall`.

    Whether the Mcp-Name header names the same tool is checked by the MCP server, as the specification requires.
    """
    try:
        document: Any = parse_json(body, max_depth=_MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise UnreadableCall("the body is not plain JSON in UTF-8") from error
    messages = cast("list[Any]", document) if isinstance(document, list) else [document]
    return tuple(call for call in map(_called_tool, messages) if call is not None)


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
