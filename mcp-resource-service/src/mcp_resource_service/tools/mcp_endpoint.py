"""The ASGI application at the MCP path. It answers a call with one JSON document, or with an event stream.

    2025-11-25 and older ──────────────────────────────────────────▶ stream, the only form of these versions
    2026-07-28 with a progress token or log level, or a long tool ─▶ stream with progress; closing it cancels the call
    2026-07-28, everything else ───────────────────────────────────▶ JSON: two thirds of the CPU time
    a client that accepts only one of the two media types ─────────▶ the form of that one

FastMCP implements both forms. This module selects one for each request. The stream form of 2026-07-28 begins a stream
when there is something to send before the result, such as progress. A call that ends before that is answered with JSON,
also to a client that lists only text/event-stream: every client of that version must support both.
"""

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from fastmcp import FastMCP
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp, Receive, Scope, Send

from security_common.edge.content_negotiation import accepts
from security_common.edge.request_body import replaying

__all__ = ["McpEndpoint"]

VERSION_HEADER, NAME_HEADER, ACCEPT_HEADER = b"mcp-protocol-version", b"mcp-name", b"accept"
BOTH_FORMS = b"application/json, text/event-stream"
# The body is searched for these bytes without parsing it. A match inside a text only selects the stream form.
STREAM_MARKS = (b"progressToken", b"io.modelcontextprotocol/logLevel")


class McpEndpoint:
    """Serves the MCP path, with or without a trailing slash."""

    def __init__(self, mcp: FastMCP, *, path: str, long_tools: Collection[str]) -> None:
        # At SIGTERM sse-starlette would end every stream, including those of calls in progress. Here each stream
        # belongs to one call, and the server waits for calls for a bounded time.
        AppStatus.disable_automatic_graceful_drain()
        # It logs "Terminating session: None" after every stateless request; its other messages are about sessions too.
        logging.getLogger("mcp.server.streamable_http").setLevel(logging.WARNING)
        self._json = mcp.http_app(path=path, stateless_http=True, json_response=True)
        self._stream = mcp.http_app(path=path, stateless_http=True)
        self._path = path
        self._long_tools = frozenset(name.encode() for name in long_tools)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Runs the session managers of both forms."""
        async with AsyncExitStack() as stack:
            for form in (self._json, self._stream):
                await stack.enter_async_context(form.lifespan(form))
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        scope["path"] = self._path  # without the trailing slash that the request may have
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] == "POST" and headers.get(ACCEPT_HEADER) != BOTH_FORMS:
            form = self._only_accepted_form(scope, headers.get(ACCEPT_HEADER))
            if form is not None:
                await form(scope, receive, send)
                return
        if not _uses_protocol_2026(headers) or headers.get(NAME_HEADER) in self._long_tools:
            await self._stream(scope, receive, send)
            return
        # The guard has read the body and passes it on as one message.
        body = (await receive()).get("body", b"")
        form = self._stream if any(mark in body for mark in STREAM_MARKS) else self._json
        await form(scope, replaying(body, receive), send)

    def _only_accepted_form(self, scope: Scope, accept_header: bytes | None) -> ASGIApp | None:
        """The form that a client with this Accept header needs; None when it accepts both of them or neither.

        The SDK refuses every client that does not list both media types. The specification requires clients to list
        them, but some list one of them, a wildcard, or none, so the SDK gets a header with both.
        """
        accept = accept_header.decode("latin-1") if accept_header is not None else None
        accepts_json, accepts_stream = accepts(accept, "application/json"), accepts(accept, "text/event-stream")
        if accepts_json or accepts_stream:
            others = [(name, value) for name, value in scope["headers"] if name != ACCEPT_HEADER]
            scope["headers"] = [*others, (ACCEPT_HEADER, BOTH_FORMS)]
        if accepts_json == accepts_stream:
            return None
        return self._json if accepts_json else self._stream


def _uses_protocol_2026(headers: dict[bytes, bytes]) -> bool:
    version = headers.get(VERSION_HEADER)
    return version is not None and version.decode("latin-1") not in HANDSHAKE_PROTOCOL_VERSIONS
