"""The reasons why the edge does not pass a request on, with the status and error code of each."""

import json
from typing import ClassVar

from security_common.edge.asgi import HttpResponse, Scope
from security_common.errors import SecurityError

__all__ = [
    "REFUSAL_HEADERS",
    "BodyTooLarge",
    "BodyTooSlow",
    "HeadersTooLarge",
    "InvalidRequest",
    "NotFound",
    "Refusal",
    "json_refusal",
    "refusal_members",
]


REFUSAL_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
"""The headers of every refusal."""


class Refusal(SecurityError):
    """A request that is refused. The client receives `status`, `error`, `description` and `hint`.

    `reason` is the code for the audit trail; without one it is the error code.
    """

    status: ClassVar[int]

    def __init__(
        self, description: str, *, hint: str = "", reason: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(description, hint=hint)
        self.reason = reason or self.error
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(Refusal):
    """A header or parameter is malformed, or occurs more than once although only one value can apply."""

    status: ClassVar[int] = 400
    error: ClassVar[str] = "invalid_request"


class NotFound(Refusal):
    """There is nothing at this path, and a token would not change that."""

    status: ClassVar[int] = 404
    error: ClassVar[str] = "not_found"


class BodyTooSlow(Refusal):
    """The request body did not arrive within its time limit."""

    status: ClassVar[int] = 408
    error: ClassVar[str] = "request_timeout"


class BodyTooLarge(Refusal):
    """The request body is larger than allowed, by its Content-Length or as counted."""

    status: ClassVar[int] = 413
    error: ClassVar[str] = "content_too_large"


class HeadersTooLarge(Refusal):
    """The request headers are larger than allowed."""

    status: ClassVar[int] = 431
    error: ClassVar[str] = "headers_too_large"


def json_refusal(refusal: Refusal, _scope: Scope) -> HttpResponse:
    """The refusal as a JSON object with `error`, `error_description`, and `hint` if there is one."""
    body = json.dumps(refusal_members(refusal), ensure_ascii=False).encode()
    return HttpResponse(refusal.status, body, REFUSAL_HEADERS)


def refusal_members(refusal: Refusal) -> dict[str, str]:
    """The members of the JSON object: `error`, `error_description`, and `hint` if there is one."""
    members = {"error": refusal.error, "error_description": refusal.description}
    if refusal.hint:
        members["hint"] = refusal.hint
    return members
