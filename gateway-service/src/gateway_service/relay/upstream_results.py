"""Results of components: what an upstream may send, and their form in the protocol version of the client."""

from collections.abc import Mapping
from typing import Any, cast

from gateway_service.wire.versions import RESERVED_PREFIX
from security_common.errors import SecurityError, describe_for_client

__all__ = ["REASON", "InvalidResult", "data_members", "read_tool_result", "refusal_result", "with_result_type"]

REASON = "mcp-oauth2-gateway/reason"
"""The member of `_meta` with the code of a refusal or failure of the gateway, for programs."""

# Members of the protocol between gateway and upstream, and of features that the gateway does not relay.
_PROTOCOL_MEMBERS = frozenset(
    {"resultType", "isError", "ttlMs", "cacheScope", "nextCursor", "requestState", "inputRequests"}
)


class InvalidResult(Exception):
    """The result is not one that the call can have. The text says why, without words of the upstream."""


def read_tool_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the result that are data of the tool. Raises `InvalidResult`."""
    if not isinstance(result.get("content"), list) or not isinstance(result.get("isError", False), bool):
        raise InvalidResult("sent a result without content")
    members = data_members(result)
    return {**members, "isError": result["isError"]} if "isError" in result else members


def data_members(result: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a result that are data of the component, `_meta` without the reserved names included."""
    members = {name: value for name, value in result.items() if name not in _PROTOCOL_MEMBERS and name != "_meta"}
    metadata: Any = result.get("_meta")
    if isinstance(metadata, dict):
        own = cast("dict[str, Any]", metadata)
        kept = {name: value for name, value in own.items() if not name.startswith(RESERVED_PREFIX)}
        if kept:
            members["_meta"] = kept
    return members


def refusal_result(failure: SecurityError) -> dict[str, Any]:
    """The result that says why a call was not executed, or why its result is not sent."""
    text = {"type": "text", "text": describe_for_client(failure)}
    return {"content": [text], "isError": True, "_meta": {REASON: failure.error}}


def with_result_type(result: dict[str, Any], *, is_stateless: bool) -> dict[str, Any]:
    """The result in the form of the client's version: 2026-07-28 requires `resultType`."""
    return {"resultType": "complete", **result} if is_stateless else result
