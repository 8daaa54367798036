"""Reading a request body within a size and a time, and handing it on to the application."""

import asyncio

from security_common.edge.asgi import Message, Receive
from security_common.edge.refusals import BodyTooLarge, BodyTooSlow, InvalidRequest
from security_common.edge.request_context import RequestHeaders

__all__ = ["ClientDisconnected", "has_body", "read_body", "replaying"]

# More than any limit. int() is slow for long texts and refuses very long ones.
_MAX_LENGTH_DIGITS = 20
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class ClientDisconnected(Exception):
    """The client closed the connection before the body was complete."""


def has_body(method: str, headers: RequestHeaders) -> bool:
    """Whether the request may have a body. In HTTP/2 a body needs no header that announces it."""
    return method not in _METHODS_WITHOUT_BODY or b"content-length" in headers or b"transfer-encoding" in headers


async def read_body(receive: Receive, headers: RequestHeaders, *, max_bytes: int, deadline_seconds: float) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it has more than `max_bytes`; nothing is read when Content-Length says so.
        BodyTooSlow: it was not complete after `deadline_seconds`.
        InvalidRequest: Content-Length is not a number.
        ClientDisconnected: the connection was closed.

    """
    announced = headers.one(b"content-length")
    if announced is not None:
        if not announced.isdecimal():
            raise InvalidRequest("Content-Length is not a number")
        _require_size(int(announced[:_MAX_LENGTH_DIGITS]), max_bytes)
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _collect(receive, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"the request body took longer than {deadline_seconds:g} seconds", hint="send the body at once"
        ) from error


async def _collect(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body += message.get("body", b"")
        _require_size(len(body), max_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def _require_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise BodyTooLarge(f"the request body is larger than {max_bytes} bytes", hint="send a smaller body")


def replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body as one message, and afterwards what the server sends, such as a disconnect."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
