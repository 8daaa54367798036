"""The limits on the size and time of a request head, which do not apply to bodies and responses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn

from security_common.edge import connection_limits

pytestmark = pytest.mark.anyio

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
PATIENCE_SECONDS = 60


async def echo(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def connect(monkeypatch) -> AsyncIterator[Callable]:
    """Opens connections to a server with a limit of 0.2 seconds for a head."""
    monkeypatch.setattr(connection_limits, "MAX_HEAD_SECONDS", 0.2)
    config = uvicorn.Config(echo, port=0, lifespan="off", log_config=None, http=connection_limits.BoundedConnection)
    server = uvicorn.Server(config)
    async with contextlib.AsyncExitStack() as opened:
        serving = asyncio.create_task(server._serve())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not server.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]

        async def connect():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.callback(writer.close)
            return reader, writer

        async with asyncio.timeout(PATIENCE_SECONDS):
            yield connect
        server.should_exit = True
    await serving


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_the_connection_of_an_incomplete_head_is_closed(connect, sent):
    reader, writer = await connect()
    writer.write(sent)
    assert await reader.read() == b""


async def test_the_connection_of_a_slow_head_is_closed(connect):
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\n")
    response = asyncio.create_task(reader.read())
    while not response.done():
        writer.write(b"X: y\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        await asyncio.wait([response], timeout=0.01)
    assert response.exception() is not None or response.result() == b""


async def test_a_large_head_is_refused_before_it_ends(connect):
    reader, writer = await connect()
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: %s\r\n" % (b"y" * 100 * connection_limits.MAX_HEAD_BYTES)
    )
    await writer.drain()
    response = await reader.read()
    assert response.startswith(b"HTTP/1.1 431 ")
    assert response.count(b"HTTP/1.1") == 1


async def test_empty_lines_do_not_keep_a_connection_open(connect):
    reader, writer = await connect()
    writer.write(HEAD + b"1234")
    assert (await reader.readuntil(b"1234")).startswith(b"HTTP/1.1 200 ")
    writer.write(b"\r\n")
    assert await reader.read() == b""


async def test_a_body_may_take_longer_than_a_head(connect):
    reader, writer = await connect()
    for _ in range(2):
        writer.write(HEAD[:20])
        writer.write(HEAD[20:])
        await asyncio.sleep(2 * connection_limits.MAX_HEAD_SECONDS)  # longer than the limit for a head
        writer.write(b"abcd")
        assert (await reader.readuntil(b"abcd")).startswith(b"HTTP/1.1 200 ")
