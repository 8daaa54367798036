"""A body read whole, counted while it arrives and against the clock, and then handed on as if nobody had looked."""

import asyncio

from security_common.guard.asgi import Message, Receive
from security_common.guard.headers import RequestHeaders
from security_common.guard.refusals import BodyTooLarge, BodyTooSlow, InvalidRequest

__all__ = ["Disconnected", "has_body", "read_body", "replaying"]

BODILESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class Disconnected(Exception):
    """The client went away: there is nobody to answer."""


def has_body(method: str, headers: RequestHeaders) -> bool:
    """Whether to read one. HTTP/2 may send a body that no header announces; these methods mean nothing by it."""
    return method not in BODILESS_METHODS or b"content-length" in headers or b"transfer-encoding" in headers


async def read_body(receive: Receive, headers: RequestHeaders, *, max_bytes: int, deadline_seconds: float) -> bytes:
    """The body. Raises `BodyTooLarge`, `BodyTooSlow`, `InvalidRequest` or `Disconnected`."""
    announced = headers.one(b"content-length")
    if announced is not None and not announced.isdecimal():
        raise InvalidRequest("Content-Length is not a number")
    if announced is not None:
        _require_size(int(announced[:20]), max_bytes)
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _collect(receive, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow(f"the request body took over {deadline_seconds:g} s") from error


def _require_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise BodyTooLarge(f"a request body may have {max_bytes} bytes")


async def _collect(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        _require_size(len(body), max_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once and then whatever the server says, such as a disconnect."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
