"""How a call travels: one JSON document, or a stream where the call has something to stream.

    2025-11-25 and older ─────────────────────────────▶ stream (their only form)
    2026-07-28, asks for progress or logs, or long work ▶ stream: progress arrives, closing it cancels the work
    2026-07-28, everything else ───────────────────────▶ JSON: two thirds of the work for the server

Both forms are FastMCP's own; this only picks one per request.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from fastmcp import FastMCP
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from sse_starlette.sse import AppStatus
from starlette.types import Receive, Scope, Send

from security_common.guard.body import replaying

__all__ = ["McpEndpoint"]

VERSION_HEADER, NAME_HEADER = b"mcp-protocol-version", b"mcp-name"
# Searched for as bytes: a false hit only costs the stream form.
STREAM_MARKS = (b"progressToken", b"io.modelcontextprotocol/logLevel")


class McpEndpoint:
    """The ASGI application at the MCP path."""

    def __init__(self, mcp: FastMCP, *, path: str, long_tools: Collection[str]) -> None:
        # Every stream here belongs to a call. At SIGTERM, sse-starlette would end them all, calls under way included;
        # the server waits for them, and bounds that time.
        AppStatus.disable_automatic_graceful_drain()
        self._json = mcp.http_app(path=path, stateless_http=True, json_response=True)
        self._stream = mcp.http_app(path=path, stateless_http=True)
        self._path = path
        self._long_tools = frozenset(name.encode() for name in long_tools)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Runs both forms' session managers."""
        async with AsyncExitStack() as stack:
            for form in (self._json, self._stream):
                await stack.enter_async_context(form.lifespan(form))
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = self._path  # it may have been asked for with a slash behind it
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not _is_modern(headers) or headers.get(NAME_HEADER) in self._long_tools:
            await self._stream(scope, receive, send)
            return
        # The guard has read the body and hands it on as one message.
        body = (await receive()).get("body", b"")
        form = self._stream if any(mark in body for mark in STREAM_MARKS) else self._json
        await form(scope, replaying(body, receive), send)


def _is_modern(headers: dict[bytes, bytes]) -> bool:
    version = headers.get(VERSION_HEADER)
    return version is not None and version.decode("latin-1") not in HANDSHAKE_PROTOCOL_VERSIONS
