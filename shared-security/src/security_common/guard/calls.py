"""Which tools a request calls, read from its body: the only place where both eras of MCP say it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.guard.refusals import UnreadableCall
from security_common.tokens.strict_json import parse_json

__all__ = ["CalledTool", "ToolScopes", "read_called_tools"]

MAX_DEPTH = 64

ToolScopes = Mapping[str, "frozenset[str] | Callable[[Mapping[str, Any]], frozenset[str]]"]
"""Which scopes a tool's calls need on top; a function where that depends on the arguments."""


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A call as the client wrote it: nothing about the arguments has been checked but that they are an object."""

    name: str
    arguments: Mapping[str, Any] = field(repr=False)

    def needed_scopes(self, table: ToolScopes) -> frozenset[str]:
        """What this call needs beyond the resource's own scopes."""
        needed = table.get(self.name, frozenset[str]())
        return needed(self.arguments) if callable(needed) else needed


def read_called_tools(body: bytes) -> tuple[CalledTool, ...]:
    """The calls in `tools/call` messages, batches included. Raises `UnreadableCall`.

    That the Mcp-Name header says the same is for the server behind the guard to check, as MCP asks of it.
    """
    try:
        document: Any = parse_json(body, max_depth=MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise UnreadableCall("the body is not plain JSON in UTF-8") from error
    messages = cast("list[Any]", document) if isinstance(document, list) else [document]
    return tuple(call for call in map(_called_tool, messages) if call is not None)


def _called_tool(message: Any) -> CalledTool | None:
    if not isinstance(message, dict):
        return None
    call = cast("dict[str, Any]", message)
    params: Any = call.get("params")
    if call.get("method") != "tools/call" or not isinstance(params, dict):
        return None
    named = cast("dict[str, Any]", params)
    name, arguments = named.get("name"), named.get("arguments")
    if not isinstance(name, str):
        return None
    return CalledTool(name, cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {})
