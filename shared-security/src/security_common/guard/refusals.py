"""The reasons why the guard refuses a request, besides those of `security_common.edge.refusals`."""

from collections.abc import Sequence
from typing import ClassVar

from security_common.edge import Refusal

__all__ = [
    "ForbiddenOrigin",
    "InsufficientScope",
    "InvalidJsonRpcMessage",
    "InvalidMessageId",
    "InvalidToken",
    "MisdirectedRequest",
    "MissingToken",
    "TemporarilyUnavailable",
    "TooManyRequests",
]


class InvalidJsonRpcMessage(Refusal):
    """The body at the MCP path is not JSON that every parser reads in the same way.

    The response is a JSON-RPC error with `json_rpc_code` (JSON-RPC 2.0 section 5.1).
    """

    status: ClassVar[int] = 400
    error: ClassVar[str] = "unreadable_call"  # the code in audit trails, which is older than the name of the class
    json_rpc_code: ClassVar[int] = -32700


class InvalidMessageId(InvalidJsonRpcMessage):
    """A JSON-RPC request has an id that is neither a string nor an integer.

    MCP SDKs treat such a request as a notification and answer 202, so its caller would wait for a response.
    """

    json_rpc_code: ClassVar[int] = -32600


class MissingToken(Refusal):
    """The request has no token. Its challenge has no error code (RFC 6750 section 3.1)."""

    status: ClassVar[int] = 401
    error: ClassVar[str] = "missing_token"


class InvalidToken(Refusal):
    """The token is malformed or expired, or its key, resource or issuer is not accepted."""

    status: ClassVar[int] = 401
    error: ClassVar[str] = "invalid_token"


class InsufficientScope(Refusal):
    """The token is valid and does not have every scope that the request needs.

    `scopes` are all scopes that the request needs, not only the missing ones. `tool_name` is the tool that needs them.
    """

    status: ClassVar[int] = 403
    error: ClassVar[str] = "insufficient_scope"

    def __init__(self, scopes: Sequence[str], *, tool_name: str | None = None) -> None:
        super().__init__(f"this request needs the scopes {' '.join(scopes)}", hint="request a token with these scopes")
        self.scopes = scopes
        self.tool_name = tool_name


class ForbiddenOrigin(Refusal):
    """A web page of an origin that is not allowed sent the request."""

    status: ClassVar[int] = 403
    error: ClassVar[str] = "forbidden_origin"


class MisdirectedRequest(Refusal):
    """The Host header names another server: a misconfigured proxy, or DNS rebinding."""

    status: ClassVar[int] = 421
    error: ClassVar[str] = "misdirected_request"


class TooManyRequests(Refusal):
    """The caller has sent as many requests as it may send in this minute."""

    status: ClassVar[int] = 429
    error: ClassVar[str] = "too_many_requests"


class TemporarilyUnavailable(Refusal):
    """The token cannot be verified at the moment; it may be valid."""

    status: ClassVar[int] = 503
    error: ClassVar[str] = "temporarily_unavailable"
