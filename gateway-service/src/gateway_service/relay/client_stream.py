"""The event stream of one response: progress and log messages, and the answer as its last event.

It begins with the first message before the answer. Without one, the answer is a JSON document. A client that closes its
connection cancels the answer.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from gateway_service.wire.json_rpc import encode
from security_common.edge import HttpResponse, Receive, Send

__all__ = ["EVENT_STREAM", "ClientStream", "answer_while_connected", "event_of"]

EVENT_STREAM = "text/event-stream"
_HEADERS = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # MCP 2026-07-28, transports: proxies must not hold events back
]


class ClientStream:
    """Sends messages to the client as they come. `is_open` is whether the response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_open = False

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Sends a notification. Returns when the client's connection has taken it."""
        await self._open()
        event = event_of(encode({"jsonrpc": "2.0", "method": method, "params": params}))
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def keep_alive(self) -> None:
        """Sends a comment, so that no proxy closes a connection on which nothing else is sent."""
        await self._open()
        await self._send({"type": "http.response.body", "body": b": \n\n", "more_body": True})

    async def finish(self, message: bytes) -> None:
        """Sends the answer and ends the response. An empty answer only ends it."""
        await self._open()
        event = event_of(message) if message else b""
        await self._send({"type": "http.response.body", "body": event})

    async def _open(self) -> None:
        if not self.is_open:
            self.is_open = True
            await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})


async def answer_while_connected(answer: Coroutine[Any, Any, HttpResponse], receive: Receive) -> HttpResponse | None:
    """The answer; None if the client closes its connection first, which cancels the answer.

    A client that has cancelled its request with a notification expects no answer to it: its response is 202.
    """
    answering = asyncio.create_task(answer)
    watching = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            return None
        return HttpResponse(202) if answering.cancelled() else answering.result()
    finally:
        watching.cancel()
        answering.cancel()


def event_of(message: bytes) -> bytes:
    """The message, which is JSON without line breaks, as one event."""
    return b"event: message\ndata: " + message + b"\n\n"


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
