"""The header rules of Streamable HTTP: which version a request uses, and whether headers and body agree.

A program in front of this one may have decided by the headers, so a request whose headers and body differ is refused
(MCP 2026-07-28, transports, "Server Validation"), in every version.
"""

import base64
import binascii
from typing import Any

from gateway_service.wire.json_rpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    UNSUPPORTED_PROTOCOL_VERSION,
    Request,
    RpcError,
)
from gateway_service.wire.versions import CLIENT_CAPABILITIES, HANDSHAKE_VERSIONS, PROTOCOL_VERSION, STATELESS_VERSION
from security_common.edge import InvalidRequest, RequestHeaders

__all__ = ["CALLER_HEADER", "decode_value", "encode_value", "is_stateless", "require_known_version"]

CALLER_HEADER = "Mcp-Gateway-Caller"
"""An id of the caller, for a `gateway-service bridge`. It is keyed, so it identifies no person."""

_NAMING_PARAMETERS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that the header Mcp-Name repeats, by method."""

_PREFIX, _SUFFIX = "=?base64?", "?="


def is_stateless(request: Request, headers: RequestHeaders) -> bool:
    """Whether the request follows 2026-07-28, and not an older version. Raises `RpcError` if headers and body differ.

    Without a version header the request is an old one, unless its body says otherwise.
    """
    version = _one(headers, "MCP-Protocol-Version")
    if (version is None or version in HANDSHAKE_VERSIONS) and PROTOCOL_VERSION not in request.metadata:
        _require_equal_names(request, headers, are_required=False)
        return False
    missing = [name for name in (PROTOCOL_VERSION, CLIENT_CAPABILITIES) if name not in request.metadata]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta has no {' and no '.join(missing)}")
    if version is None or version != request.metadata[PROTOCOL_VERSION]:
        raise RpcError(HEADER_MISMATCH, "the header MCP-Protocol-Version differs from the version in the body")
    _require_equal_names(request, headers, are_required=True)
    require_known_version(headers)
    return True


def require_known_version(headers: RequestHeaders) -> None:
    """Raises `RpcError` for a version that the gateway does not speak. A request without one has an old version."""
    version = _one(headers, "MCP-Protocol-Version")
    if version is not None and version not in (*HANDSHAKE_VERSIONS, STATELESS_VERSION):
        data = {"supported": [STATELESS_VERSION], "requested": version}
        raise RpcError(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


def _require_equal_names(request: Request, headers: RequestHeaders, *, are_required: bool) -> None:
    method, name = _one(headers, "Mcp-Method"), _one(headers, "Mcp-Name")
    if (method is not None or are_required) and method != request.method:
        raise RpcError(HEADER_MISMATCH, "the header Mcp-Method differs from the method in the body")
    parameter = _NAMING_PARAMETERS.get(request.method)
    if parameter is None:
        return
    in_body: Any = request.params.get(parameter)
    is_expected = are_required and in_body is not None
    if (name is not None or is_expected) and (name is None or decode_value(name) != in_body):
        raise RpcError(HEADER_MISMATCH, f"the header Mcp-Name differs from the parameter `{parameter}` in the body")


def _one(headers: RequestHeaders, name: str) -> str | None:
    try:
        return headers.one(name.lower().encode())
    except InvalidRequest as failure:
        raise RpcError(HEADER_MISMATCH, failure.description) from failure


def encode_value(text: str) -> str:
    """The text as the value of a header: as it is, or in base64 if a header cannot carry it."""
    is_plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith(_PREFIX)
    return text if is_plain else f"{_PREFIX}{base64.b64encode(text.encode()).decode()}{_SUFFIX}"


def decode_value(value: str) -> str | None:
    """The text of a header that may be written in base64, or None if that is malformed."""
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX)):
        return value
    try:
        return base64.b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode()
    except (binascii.Error, ValueError):
        return None
