"""The upstreams of benchmarks/gateway.py: as little work per call as possible, over HTTP and over stdio.

    python benchmarks/gateway_upstreams.py http PORT TOOLS
    python benchmarks/gateway_upstreams.py stdio

They answer what the gateway and the peers send, and nothing else of the protocol.
"""

import asyncio
import json
import sys
from typing import Any

import uvloop

VERSIONS = ["2026-07-28", "2025-11-25"]
DESCRIPTION: dict[str, Any] = {"capabilities": {"tools": {}}, "serverInfo": {"name": "upstream", "version": "1"}}
CACHING: dict[str, Any] = {"ttlMs": 60_000, "cacheScope": "public"}
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def answer(message: dict[str, Any], tools: int) -> dict[str, Any] | None:
    """The response to a message; None to a notification."""
    if "id" not in message:
        return None
    match message["method"]:
        case "tools/call":
            text = message["params"]["arguments"]["text"]
            result: dict[str, Any] = {"content": [{"type": "text", "text": text}]}
        case "tools/list":
            names = ["echo", *(f"echo_{number}" for number in range(1, tools))]
            listed = [{"name": name, "description": "Echo.", "inputSchema": SCHEMA} for name in names]
            result = {"tools": listed, **CACHING}
        case "server/discover":
            result = {"supportedVersions": VERSIONS, **DESCRIPTION, **CACHING}
        case "initialize":
            version = message["params"]["protocolVersion"]
            result = {"protocolVersion": version, **DESCRIPTION}
        case _:
            result = {}
    return {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", **result}}


class HttpUpstream(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, tools: int) -> None:
        self._tools = tools
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        if not separator or len(body) < length:
            return
        self._received = b""
        response = answer(json.loads(body), self._tools) if body else None
        if response is None:
            self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            return
        content = json.dumps(response).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        self._transport.write(head + content)


async def serve_http(port: int, tools: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: HttpUpstream(tools), "127.0.0.1", port)
    await server.serve_forever()


def serve_stdio() -> None:
    for line in sys.stdin.buffer:
        response = answer(json.loads(line), 1)
        if response is not None:
            sys.stdout.buffer.write(json.dumps(response).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        uvloop.run(serve_http(int(sys.argv[2]), int(sys.argv[3])))
    else:
        serve_stdio()
