"""Upstreams for the tests: FastMCP servers of both kinds of protocol versions, and one that breaks every rule."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

PHONE = "010-1234-5678"
EMAIL = "hong@example.com"


def customers() -> FastMCP[Any]:
    """A server with tools that return personal data in every part of a result."""
    mcp: FastMCP[Any] = FastMCP("customers", instructions="Find customers by id.")

    @mcp.tool
    def find(customer_id: str) -> dict[str, str]:
        """Find a customer."""
        return {"id": customer_id, "phone": PHONE}

    @mcp.tool
    def echo(text: str) -> str:
        """Return the text."""
        return text

    @mcp.tool
    def fail(text: str) -> str:
        """Report an error that quotes the text."""
        raise ToolError(f"cannot find {text}")

    @mcp.tool
    async def visits(ctx: Context) -> int:
        """Count the calls of one session."""
        count = int(await ctx.get_state("visits") or 0) + 1
        await ctx.set_state("visits", count)
        return count

    @mcp.tool
    async def wait(seconds: float) -> str:
        """Answer late."""
        await asyncio.sleep(seconds)
        return "done"

    return mcp


class OldVersionsOnly:
    """An ASGI application that refuses requests of 2026-07-28 as servers with mcp 1.x do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"mcp-protocol-version", b"2026-07-28") in scope["headers"]:
            error = {"code": -32600, "message": "Bad Request: Missing session ID"}
            body = json.dumps({"jsonrpc": "2.0", "id": "server-error", "error": error}).encode()
            await send(
                {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send)


class Watched:
    """An ASGI application that keeps every byte of the requests for another one."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.received: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.headers.append({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
            self.received.append(scope["raw_path"] + scope["query_string"])
            self.received += [part for header in scope["headers"] for part in header]

        async def watch() -> Any:
            message = await receive()
            self.received.append(message.get("body", b""))
            return message

        await self._app(scope, watch if scope["type"] == "http" else receive, send)

    @property
    def everything(self) -> bytes:
        return b"\n".join(self.received)


Respond = Callable[[Mapping[str, Any], asyncio.StreamWriter], Awaitable[None]]


class RawUpstream:
    """An upstream of 2026-07-28 on a socket, whose responses to tool calls are written byte by byte by the test."""

    def __init__(self, respond: Respond, tools: list[Any] | None = None, *, answers_lists: bool = True) -> None:
        """Without `answers_lists`, the test writes the responses to all requests."""
        self.respond = respond
        self.answers_lists = answers_lists
        self.tools = tools if tools is not None else [{"name": "act", "inputSchema": {"type": "object"}}]
        self.instructions: str | None = None
        self.requests: list[Mapping[str, Any]] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.deletions: list[str] = []
        """The heads of the requests that end a session."""
        self.deletion_seconds = 0.0
        self.ended_sessions = 0
        """How many of these requests were answered while their client waited for the answer."""
        self.url = ""
        self._port = 0
        self._open: set[asyncio.Task[None]] = set()
        self._called = asyncio.Condition()

    async def wait_for_calls(self, count: int = 1) -> None:
        """Waits until the tool was called that many times."""
        async with self._called:
            await self._called.wait_for(lambda: self.calls >= count)

    async def wait_for_deletions(self, count: int = 1) -> None:
        """Waits until the ends of that many sessions were requested."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.deletions) >= count)

    @property
    def calls(self) -> int:
        """How many tool calls were received."""
        return [request["method"] for request in self.requests].count("tools/call")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/mcp"

    async def stop(self) -> None:
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            while True:
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if head.startswith("DELETE "):
            self.deletions.append(head)
            async with self._called:
                self._called.notify_all()
            await asyncio.sleep(self.deletion_seconds)
            self.ended_sessions += not reader.at_eof()
            writer.write(http_response(b""))
            return
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        request = json.loads(body)
        self.bodies.append(body)
        self.heads.append(head)
        self.requests.append(request)
        async with self._called:
            self._called.notify_all()
        if self.answers_lists and request["method"] == "server/discover":
            result: dict[str, Any] = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
            if self.instructions is not None:
                result["instructions"] = self.instructions
            writer.write(json_response(request, result))
        elif self.answers_lists and request["method"] == "tools/list":
            writer.write(json_response(request, {"tools": self.tools}))
        else:
            await self.respond(request, writer)
        await writer.drain()


def json_response(request: Mapping[str, Any], result: Any) -> bytes:
    """A correct response with this result."""
    return http_response(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode())


def http_response(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    """A complete HTTP response; the argument `content_type` becomes the header Content-Type."""
    fields = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def event(message: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return b"event: message\r\ndata: " + json.dumps(message).encode() + b"\r\n\r\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
TEXT_RESULT = {"content": [{"type": "text", "text": "done"}]}
