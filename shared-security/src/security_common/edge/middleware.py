"""The edge of a service: limits on the head and body of a request, and its context for the application behind it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from security_common.edge.asgi import Application, Message, Receive, Scope, Send
from security_common.edge.client_address import ClientAddressReader, Network
from security_common.edge.refusals import Refusal, json_refusal
from security_common.edge.request_body import ClientDisconnected, has_body, read_body, replaying
from security_common.edge.request_context import (
    RequestContext,
    current_request,
    get_or_create_request_context,
    require_plain_path,
)

__all__ = ["Edge", "EdgeLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What a request may have. `body_bytes_by_path` overrides `max_body_bytes` for single paths."""

    max_header_bytes: int = 32 * 1024
    max_body_bytes: int = 64 * 1024
    body_bytes_by_path: Mapping[str, int] = field(default_factory=dict[str, int])
    body_deadline_seconds: float = 10.0


class Edge:
    """ASGI middleware that passes a request on when its path, its head and its whole body are within the limits.

    The application finds a `RequestContext` with `require_request_context(scope)` and in `current_request`. It receives
    the body as one message.

    `render_refusal` returns the ASGI application that answers a refused request; a Starlette `Response` is one. Without
    it the response is a JSON object. A client that disconnects while it sends the body gets no response.
    """

    def __init__(
        self,
        app: Application,
        *,
        trusted_proxies: Sequence[Network] = (),
        limits: EdgeLimits | None = None,
        render_refusal: Callable[[Refusal, Scope], Application] = json_refusal,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._app = app
        self._read_address = ClientAddressReader(trusted_proxies)
        self._limits = limits or EdgeLimits()
        self._render_refusal = render_refusal
        self._random_bytes = random_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = get_or_create_request_context(scope, read_address=self._read_address, random_bytes=self._random_bytes)
        try:
            receive = await self._bounded(scope, receive, context)
        except ClientDisconnected:
            return
        except Refusal as refusal:
            respond = self._render_refusal(refusal, scope)
            await respond(scope, receive, _closing(send))
            return
        reset_token = current_request.set(context)
        try:
            await self._app(scope, receive, send)
        finally:
            current_request.reset(reset_token)

    async def _bounded(self, scope: Scope, receive: Receive, context: RequestContext) -> Receive:
        """The `receive` for the application. Raises `Refusal` or `ClientDisconnected`."""
        require_plain_path(scope)
        limits = self._limits
        context.headers.require_size(limits.max_header_bytes)
        if context.body is not None:
            return receive
        if not has_body(scope["method"], context.headers):
            context.set_body(b"")
            return receive
        body = await read_body(
            receive,
            context.headers,
            max_bytes=limits.body_bytes_by_path.get(scope["path"], limits.max_body_bytes),
            deadline_seconds=limits.body_deadline_seconds,
        )
        context.set_body(body)
        return replaying(body, receive)


def _closing(send: Send) -> Send:
    """Closes the connection after the response: the rest of the refused body may still arrive on it."""

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return send_closing
