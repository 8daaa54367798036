"""Protects MCP messages in their JSON form: results of components, and what is sent to the client before a result.

    tools/call           content blocks, structuredContent
    resources/read       contents: text, or base64 in `blob`
    prompts/get          description, and messages with a content block each
    completion/complete  values

The functions return new JSON values. They distinguish members that are part of the protocol from data. They need
neither the SDK nor FastMCP, so that a proxy can use them as well.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import to_json

from security_common.pii import FieldContext
from security_common.strict_json import WrittenNumber
from security_common.tool_policy.binary_content import protect_base64
from security_common.tool_policy.json_walk import JSONWalk

__all__ = ["MCPWalk", "is_input_request", "protect_parameters", "protect_result"]

PROTOCOL_RESULT_MEMBERS: Mapping[str, type] = {
    "resultType": str,
    "isError": bool,
    "ttlMs": int,
    "cacheScope": str,
    "nextCursor": str,
    "requestState": str,
}
"""Members of results that are not data, with their type. The server has encrypted `requestState` before it is sent."""

DATA_RESULT_MEMBERS = frozenset({"messages", "description", "completion", "inputRequests"})
"""Members of results with a name of the protocol whose value is data. Names of other members are data as well."""

PROTOCOL_PARAMETERS = frozenset({"progressToken", "requestId", "level"})
"""Parameters of notifications that are not data."""

SERVER_INFO = "io.modelcontextprotocol/serverInfo"
"""The member of `_meta` in which the SDK describes the server."""

WRAPPED_RESULT = ("fastmcp", {"wrap_result": True})
"""The member of `_meta` in which FastMCP says that it has wrapped a result."""

MEDIA_MEMBERS = frozenset({"type", "data", "mimeType", "annotations", "_meta"})
BLOB_MEMBERS = frozenset({"uri", "blob", "mimeType", "_meta"})


class MCPWalk(JSONWalk):
    """The walk over JSON with MCP content: base64 of images, audio and files is searched as the bytes it encodes."""

    __slots__ = ()

    def visit_members(self, members: Mapping[Any, Any], context: FieldContext | None) -> dict[Any, Any]:
        """A new dict of the protected members."""
        encoded_name = _name_of_base64_member(members)
        if encoded_name is None:
            return super().visit_members(members, context)
        encoded = protect_base64(self, members[encoded_name], None)
        others = {name: value for name, value in members.items() if name != encoded_name}
        return super().visit_members(others, context) | {encoded_name: encoded}


def is_input_request(result: Mapping[str, Any]) -> bool:
    """True for a result that asks the client for input and does not end the exchange (protocol of 2026-07-28)."""
    return result.get("resultType") == "input_required"


def protect_result(walk: MCPWalk, result: Mapping[str, Any], *, requested_uri: str | None = None) -> dict[str, Any]:
    """The result of a component, protected. `requested_uri` is the address that the client itself sent.

    Raises TooMuchData and UnsupportedValue.
    """
    protected: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in result.items():
        if name in PROTOCOL_RESULT_MEMBERS and type(value) is PROTOCOL_RESULT_MEMBERS[name]:
            protected[name] = value
        elif name == "_meta" and isinstance(value, dict):
            protected[name] = _protect_metadata(walk, cast("dict[str, Any]", value))
        elif name == "structuredContent":
            protected[name] = _protect_structured_content(walk, value)
        elif name == "contents" and isinstance(value, list):
            contents = cast("list[Any]", value)
            protected[name] = [_protect_resource(walk, each, requested_uri) for each in contents]
        elif name in DATA_RESULT_MEMBERS:
            protected[name] = walk.visit(value)
        elif name != "content":
            others[name] = value
    if others:
        protected = {**walk.visit_members(others, None), **protected}
    if "content" in result:
        protected["content"] = _protect_content(walk, result, protected)
    return protected


def protect_parameters(walk: MCPWalk, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notification or request to the client, protected. Raises as `protect_result`."""
    data = {name: value for name, value in parameters.items() if name not in PROTOCOL_PARAMETERS}
    return {**parameters, **walk.visit(data)}


def _name_of_base64_member(members: Mapping[Any, Any]) -> str | None:
    if members.get("type") in {"image", "audio"} and members.keys() <= MEDIA_MEMBERS:
        name = "data"
    elif "uri" in members and members.keys() <= BLOB_MEMBERS:
        name = "blob"
    else:
        return None
    return name if type(members.get(name)) is str else None


def _protect_metadata(walk: MCPWalk, metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a result. That of the SDK and of FastMCP has no data of a tool."""
    kept: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in metadata.items():
        is_of_protocol = name == SERVER_INFO or (name, value) == WRAPPED_RESULT
        (kept if is_of_protocol else others)[name] = value
    return {**walk.visit(others), **kept} if others else kept


def _protect_structured_content(walk: MCPWalk, structured: Any) -> Any:
    if _is_wrapped(structured):
        return {"result": walk.visit(structured["result"])}
    return walk.visit(structured)


def _is_wrapped(structured: Any) -> bool:
    """True for `{"result": …}`, in which FastMCP wraps a value that is not an object."""
    return isinstance(structured, dict) and len(cast("dict[str, Any]", structured)) == 1 and "result" in structured


def _protect_content(walk: MCPWalk, result: Mapping[str, Any], protected: Mapping[str, Any]) -> Any:
    """The content blocks, protected. FastMCP repeats the structured content in a text block, which is searched once."""
    content: Any = result["content"]
    text = _only_text(content) if "structuredContent" in result else None
    if text is not None:
        originals = _values_in(result["structuredContent"])
        replacements = _values_in(protected["structuredContent"])
        for original, replacement in zip(originals, replacements, strict=True):
            if text == _text_of(original):
                return [{"type": "text", "text": _text_of(replacement)}]
    return walk.visit(content)


def _only_text(content: Any) -> str | None:
    """The text of a content that is one text block with no other member, otherwise None."""
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    if len(blocks) != 1 or not isinstance(blocks[0], dict):
        return None
    block = cast("dict[str, Any]", blocks[0])
    text = block.get("text")
    return text if len(block) == 2 and block.get("type") == "text" and isinstance(text, str) else None


def _values_in(structured: Any) -> list[Any]:
    """What FastMCP may repeat as text: the value that it has wrapped, and the value itself."""
    return [structured["result"], structured] if _is_wrapped(structured) else [structured]


def _text_of(value: Any) -> str:
    """The value as FastMCP writes it into a text block."""
    return value if isinstance(value, str) else to_json(value, fallback=_plain_number).decode()


def _plain_number(value: object) -> float:
    """A number as FastMCP has it, which keeps no spelling. Raises TypeError for another value."""
    if isinstance(value, WrittenNumber):
        return value.number
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _protect_resource(walk: MCPWalk, resource: Any, requested_uri: str | None) -> Any:
    """The contents of a resource. The address stays as it is if it is the one that the client sent."""
    if isinstance(resource, dict) and cast("dict[str, Any]", resource).get("uri") == requested_uri:
        return _visit_except(walk, resource, "uri")
    return walk.visit(resource)


def _visit_except(walk: MCPWalk, members: Any, name: str) -> Any:
    """The members protected, with the member `name` as it is."""
    if not isinstance(members, dict) or name not in members:
        return walk.visit(members)
    members = cast("dict[str, Any]", members)
    return walk.visit({**members, name: None}) | {name: members[name]}
