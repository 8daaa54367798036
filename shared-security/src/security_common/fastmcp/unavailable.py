"""HTTP status 503 for a call that cannot be recorded or served now. The JSON-RPC error alone would have status 200."""

from typing import Any

import mcp_types as types
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

from security_common.edge import Application, Message, Receive, Scope, Send

__all__ = ["CallUnavailable", "ServiceUnavailableMiddleware", "unavailable_error"]

SCOPE_KEY = "security_common.unavailable"
"""The member of the ASGI scope through which a call reports to ServiceUnavailableMiddleware that it failed."""

RETRY_AFTER = b"5"  # seconds


class CallUnavailable(ToolError):
    """The call could not be recorded, or something it needs is down. The client may try again.

    It is a FastMCPError because FastMCP passes these on without changing them. `code` is the error code of the cause.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def unavailable_error(context: Any, message: str, code: str) -> MCPError:
    """The JSON-RPC error of a call that cannot be answered now. Marks the HTTP request of `context` for status 503."""
    if context is not None and context.request is not None:
        mark = context.request.scope.get(SCOPE_KEY)
        if mark is not None:
            mark["unavailable"] = True
    return MCPError(types.INTERNAL_ERROR, message, {"error": code})


class ServiceUnavailableMiddleware:
    """ASGI middleware around the MCP application: answers 503 with Retry-After when a call was unavailable.

    This is possible until the response begins. On a stream that has begun, with progress for example, status 200 was
    sent, and the client gets the JSON-RPC error.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mark: dict[str, bool] = {}
        delayed_start: Message | None = None

        async def send_with_status(message: Message) -> None:
            nonlocal delayed_start
            # A stream starts before its call does. The status is sent with the first event, which may be the error.
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                delayed_start = message
                return
            if delayed_start is not None:
                if message.get("more_body") and not message.get("body"):
                    return  # an empty first part of the body is not needed
                start = delayed_start
                delayed_start = None
                if mark.get("unavailable"):
                    headers = [*start.get("headers", ()), (b"retry-after", RETRY_AFTER)]
                    start = {**start, "status": 503, "headers": headers}
                await send(start)
            await send(message)

        await self._app({**scope, SCOPE_KEY: mark}, receive, send_with_status)
