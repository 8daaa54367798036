"""Every way to say no: `status` and `error` are what the client sees."""

from collections.abc import Sequence
from typing import ClassVar

from security_common.errors import SecurityError


class Refusal(SecurityError):
    """A request that does not get through. `challenged` ones carry WWW-Authenticate (RFC 6750 section 3).

    `reason` is the code for the audit trail, by default the error. `scopes` are all that the request needs.
    """

    status: ClassVar[int]
    challenged: ClassVar[bool] = False

    def __init__(
        self,
        description: str,
        *,
        hint: str = "",
        reason: str | None = None,
        scopes: Sequence[str] = (),
        tool_name: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(description, hint=hint)
        self.reason = reason or self.error
        self.scopes = scopes
        self.tool_name = tool_name
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(Refusal):
    """Two readings are possible, so neither is taken."""

    status: ClassVar[int] = 400
    error: ClassVar[str] = "invalid_request"
    challenged: ClassVar[bool] = True


class UnreadableCall(Refusal):
    """The body at the MCP path is no JSON that everybody reads alike; the answer is a JSON-RPC error."""

    status: ClassVar[int] = 400
    error: ClassVar[str] = "unreadable_call"


class MissingToken(Refusal):
    """No token came: the challenge carries no error code (RFC 6750 section 3.1)."""

    status: ClassVar[int] = 401
    error: ClassVar[str] = "missing_token"
    challenged: ClassVar[bool] = True


class InvalidToken(Refusal):
    """A token came, and it is not good here."""

    status: ClassVar[int] = 401
    error: ClassVar[str] = "invalid_token"
    challenged: ClassVar[bool] = True


class InsufficientScope(Refusal):
    """The token is good but not for this."""

    status: ClassVar[int] = 403
    error: ClassVar[str] = "insufficient_scope"
    challenged: ClassVar[bool] = True


class ForbiddenOrigin(Refusal):
    """A page in a browser asks, from an origin nobody has allowed."""

    status: ClassVar[int] = 403
    error: ClassVar[str] = "forbidden_origin"


class NotFound(Refusal):
    """Below /.well-known/ there is nothing to protect; a 401 there would send clients in circles."""

    status: ClassVar[int] = 404
    error: ClassVar[str] = "not_found"


class BodyTooSlow(Refusal):
    """The body did not arrive in time."""

    status: ClassVar[int] = 408
    error: ClassVar[str] = "request_timeout"


class BodyTooLarge(Refusal):
    """The body is over the limit, by its header or as counted."""

    status: ClassVar[int] = 413
    error: ClassVar[str] = "content_too_large"


class MisdirectedRequest(Refusal):
    """The Host is not one of ours: a mistake in a proxy, or DNS rebinding."""

    status: ClassVar[int] = 421
    error: ClassVar[str] = "misdirected_request"


class TooManyRequests(Refusal):
    """The caller has had its share of this minute."""

    status: ClassVar[int] = 429
    error: ClassVar[str] = "too_many_requests"


class HeadersTooLarge(Refusal):
    """The headers are over the limit."""

    status: ClassVar[int] = 431
    error: ClassVar[str] = "headers_too_large"


class TemporarilyUnavailable(Refusal):
    """The token cannot be judged now; it may be good."""

    status: ClassVar[int] = 503
    error: ClassVar[str] = "temporarily_unavailable"
