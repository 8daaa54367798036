"""Which tools a request calls, read from its body: the only place where both eras of MCP say it."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.guard.headers import RequestHeaders
from security_common.guard.refusals import UnreadableCall
from security_common.tokens.strict_json import parse_json

__all__ = ["CalledTool", "ToolScopes", "read_called_tools"]

MAX_DEPTH = 64
# From this revision on, headers mirror the body so that gateways can read them.
FIRST_MIRRORED_REVISION = "2026-07-28"
PARSE_ERROR, HEADER_MISMATCH = -32700, -32020


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


def read_called_tools(body: bytes, headers: RequestHeaders) -> tuple[CalledTool, ...]:
    """The calls in `tools/call` messages, batches included. Raises `UnreadableCall`."""
    try:
        document: Any = parse_json(body, max_depth=MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise UnreadableCall("the body is not plain JSON in UTF-8", code=PARSE_ERROR) from error
    messages = cast("list[Any]", document) if isinstance(document, list) else [document]
    calls = tuple(call for call in map(_called_tool, messages) if call is not None)
    mirrored = headers.one(b"mcp-name")
    revision = headers.one(b"mcp-protocol-version") or ""
    if (
        mirrored is not None
        and revision >= FIRST_MIRRORED_REVISION
        and any(call.name != _decode(mirrored) for call in calls)
    ):
        raise UnreadableCall("Mcp-Name differs from the tool in the body", code=HEADER_MISMATCH)
    return calls


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


def _decode(mirrored: str) -> str:
    """The header's value; names that a header cannot carry come as `=?base64?...?=`."""
    if not (mirrored.startswith("=?base64?") and mirrored.endswith("?=")):
        return mirrored
    try:
        return base64.b64decode(mirrored[9:-2], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return mirrored
