"""Which tools a request calls, read from its body: the only place where both eras of MCP say it."""

import base64
import binascii
from typing import Any, cast

from security_common.guard.headers import RequestHeaders
from security_common.guard.refusals import UnreadableCall
from security_common.tokens.strict_json import parse_json

__all__ = ["read_called_tools"]

MAX_DEPTH = 64
# From this revision on, headers mirror the body so that gateways can read them.
FIRST_MIRRORED_REVISION = "2026-07-28"
PARSE_ERROR, HEADER_MISMATCH = -32700, -32020


def read_called_tools(body: bytes, headers: RequestHeaders) -> tuple[str, ...]:
    """The names in `tools/call` messages, batches included. Raises `UnreadableCall`."""
    try:
        document: Any = parse_json(body, max_depth=MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise UnreadableCall("the body is not plain JSON in UTF-8", code=PARSE_ERROR) from error
    messages = cast("list[Any]", document) if isinstance(document, list) else [document]
    names = tuple(name for name in map(_called_tool, messages) if name is not None)
    mirrored = headers.first(b"mcp-name")
    revision = headers.first(b"mcp-protocol-version") or ""
    if mirrored is not None and revision >= FIRST_MIRRORED_REVISION and any(n != _decode(mirrored) for n in names):
        raise UnreadableCall("Mcp-Name differs from the tool in the body", code=HEADER_MISMATCH)
    return names


def _called_tool(message: Any) -> str | None:
    if not isinstance(message, dict):
        return None
    call = cast("dict[str, Any]", message)
    params: Any = call.get("params")
    if call.get("method") != "tools/call" or not isinstance(params, dict):
        return None
    name: Any = cast("dict[str, Any]", params).get("name")
    return name if isinstance(name, str) else None


def _decode(mirrored: str) -> str:
    """The header's value; names that a header cannot carry come as `=?base64?...?=`."""
    if not (mirrored.startswith("=?base64?") and mirrored.endswith("?=")):
        return mirrored
    try:
        return base64.b64decode(mirrored[9:-2], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return mirrored
