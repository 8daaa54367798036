"""Wrong answers to a request for a document, for `LoopbackIssuer.answers`."""

import asyncio
import json
from collections.abc import Mapping

from local_stack.loopback_issuer import Answerer, http_answer, signing_key

__all__ = ["WRONG_ANSWERS", "always", "dripping", "hanging", "reset"]


def always(answer: bytes) -> Answerer:
    """Answers every request with these bytes."""

    async def answerer(_: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return answerer


async def hanging(_headers: Mapping[str, str], _writer: asyncio.StreamWriter) -> None:
    """Accepts the request and never answers."""
    await asyncio.Event().wait()


async def dripping(_headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
    """Sends one byte at a time, so that a timeout per read is never reached."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def reset(_headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
    """Resets the connection."""
    writer.transport.abort()


VALID = json.dumps({"keys": [signing_key("first").as_dict(private=False, kid="first")]}).encode()
WRONG_ANSWERS: Mapping[str, Answerer] = {
    "HTML": always(http_answer(b"<html>Sign in to the hotel network</html>")),
    "404": always(http_answer(b"", status="404 Not Found")),
    "500": always(http_answer(b"{}", status="500 Internal Server Error")),
    "a list": always(http_answer(b"[]")),
    "keys a string": always(http_answer(b'{"keys": "x"}')),
    "null entries": always(http_answer(b'{"keys": [null, 1, []]}')),
    "empty set": always(http_answer(b'{"keys": []}')),
    "duplicate members": always(http_answer(b'{"keys": [], ' + VALID[1:])),
    "50,000 deep": always(http_answer(b"[" * 50_000)),
    "bad UTF-8": always(http_answer(b'{"keys": "\xff"}')),
    "a lone surrogate": always(http_answer(b'{"keys": ["\\ud800"]}')),
    "one byte too many": always(http_answer(VALID + b" " * (64 * 1024 + 1 - len(VALID)))),
    "30 MB": always(http_answer(b" " * 30_000_000 + VALID)),
    "redirect": always(http_answer(b"", status="302 Found", location="http://127.0.0.1:1/")),
    "304 to an unconditional request": always(http_answer(b"", status="304 Not Modified")),
    "half a body": always(http_answer(VALID)[:-100]),
    "not HTTP": always(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "reset": reset,
    "drip": dripping,
}
