"""JSON-RPC messages (JSON-RPC 2.0; MCP allows neither batches nor ids that are null)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.strict_json import TooManyWrittenNumbers, encode_json, parse_json

__all__ = [
    "HEADER_MISMATCH",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "MAX_DEPTH",
    "MAX_VALUES",
    "METHOD_NOT_FOUND",
    "MISSING_CLIENT_CAPABILITY",
    "RESOURCE_NOT_FOUND",
    "UNSUPPORTED_PROTOCOL_VERSION",
    "ClientNotification",
    "EncodedResult",
    "MessageId",
    "Request",
    "RpcError",
    "client_message_of",
    "encode",
    "encode_message",
    "encode_result",
    "error_message",
    "is_reserved_code",
    "read_client_message",
    "result_message",
]

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002  # up to 2025-11-25
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Values in one message: as many as the tool policy searches in one call."""

MAX_NUMBERS_IN_LOOP = 1000
"""Numbers with their spelling that are encoded without a thread."""

MessageId = str | int | None


class RpcError(Exception):
    """An error that is the answer to a request. `data` is None if it has none."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client. `params` is empty if the request has none."""

    id: str | int
    method: str
    params: dict[str, Any] = field(repr=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """The member `_meta`; empty if there is none."""
        metadata: Any = self.params.get("_meta")
        return cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}


@dataclass(frozen=True, slots=True)
class ClientNotification:
    """A notification of a client, which has no answer."""

    method: str
    params: dict[str, Any] = field(repr=False)


def read_client_message(body: bytes) -> Request | ClientNotification | None:
    """The message in a body, as `client_message_of`."""
    try:
        document: Any = parse_json(body, max_depth=MAX_DEPTH, max_values=MAX_VALUES, keeps_spelling=True)
    except ValueError as failure:
        raise RpcError(INVALID_REQUEST, "the body is not a JSON-RPC message") from failure
    return client_message_of(document)


def client_message_of(document: Any) -> Request | ClientNotification | None:
    """The request or notification of a client. None for a response: the gateway sends no requests to clients.

    Raises `RpcError` for everything else: the specification allows one message in a POST. The guard has refused bodies
    that are not JSON, and ids that are neither text nor integer.
    """
    if not isinstance(document, dict):
        raise RpcError(INVALID_REQUEST, "send one JSON-RPC message at a time")
    message = cast("dict[str, Any]", document)
    method, params = message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0" or not isinstance(params, dict):
        raise RpcError(INVALID_REQUEST, "not a JSON-RPC 2.0 message with named parameters")
    if "method" not in message:
        if "id" in message and ("result" in message or "error" in message):
            return None
        raise RpcError(INVALID_REQUEST, "the message has no method")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "the method must be a text")
    members = cast("dict[str, Any]", params)
    return Request(message["id"], method, members) if "id" in message else ClientNotification(method, members)


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """A result whose JSON text exists already, because it is the answer to many requests."""

    text: bytes = field(repr=False)


def encode_result(message_id: MessageId, result: EncodedResult) -> bytes:
    """The response with a result that is encoded, in UTF-8."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode_json(message_id), result.text)


def result_message(message_id: MessageId, result: dict[str, Any]) -> dict[str, Any]:
    """The response with a result."""
    return {"jsonrpc": "2.0", "id": message_id, "result": result}


def error_message(message_id: MessageId, error: RpcError) -> dict[str, Any]:
    """The response with an error."""
    members: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        members["data"] = error.data
    return {"jsonrpc": "2.0", "id": message_id, "error": members}


def is_reserved_code(code: int) -> bool:
    """Whether the specification reserves the error code for the protocol, so that it must not come from an upstream."""
    return -32099 <= code <= -32020


def encode(message: dict[str, Any]) -> bytes:
    """The message in UTF-8. Numbers have the spelling with which they were received."""
    return encode_json(message)


async def encode_message(message: dict[str, Any]) -> bytes:
    """As `encode`, but in a thread if it takes long, so that the event loop can serve other calls."""
    try:
        return encode_json(message, max_written_numbers=MAX_NUMBERS_IN_LOOP)
    except TooManyWrittenNumbers:
        return await asyncio.to_thread(encode_json, message)
