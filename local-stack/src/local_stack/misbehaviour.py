"""What a document's place may answer instead of the document. Give one of these to `LoopbackIssuer.answers`."""

import asyncio
import json
from collections.abc import Mapping

from local_stack.loopback_issuer import Answerer, http_answer, signing_key

__all__ = ["RUBBISH", "dripping", "hanging", "reset", "saying"]


def saying(answer: bytes) -> Answerer:
    """These bytes, whatever is asked."""

    async def answerer(_: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return answerer


async def hanging(_headers: Mapping[str, str], _writer: asyncio.StreamWriter) -> None:
    """Takes the question and says nothing."""
    await asyncio.Event().wait()


async def dripping(_headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
    """A byte now and then: a timeout for each read never ends it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def reset(_headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
    """Breaks the connection."""
    writer.transport.abort()


GOOD = json.dumps({"keys": [signing_key("first").as_dict(private=False, kid="first")]}).encode()
RUBBISH: Mapping[str, Answerer] = {
    "HTML": saying(http_answer(b"<html>Sign in to the hotel network</html>")),
    "404": saying(http_answer(b"", status="404 Not Found")),
    "500": saying(http_answer(b"{}", status="500 Internal Server Error")),
    "a list": saying(http_answer(b"[]")),
    "keys a string": saying(http_answer(b'{"keys": "x"}')),
    "null entries": saying(http_answer(b'{"keys": [null, 1, []]}')),
    "empty set": saying(http_answer(b'{"keys": []}')),
    "members twice": saying(http_answer(b'{"keys": [], ' + GOOD[1:])),
    "50,000 deep": saying(http_answer(b"[" * 50_000)),
    "bad UTF-8": saying(http_answer(b'{"keys": "\xff"}')),
    "a lone surrogate": saying(http_answer(b'{"keys": ["\\ud800"]}')),
    "one byte too many": saying(http_answer(GOOD + b" " * (64 * 1024 + 1 - len(GOOD)))),
    "30 MB": saying(http_answer(b" " * 30_000_000 + GOOD)),
    "redirect": saying(http_answer(b"", status="302 Found", location="http://127.0.0.1:1/")),
    "304 to no question": saying(http_answer(b"", status="304 Not Modified")),
    "half a body": saying(http_answer(GOOD)[:-100]),
    "no HTTP": saying(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "reset": reset,
    "drip": dripping,
}
