"""Clients that do not read responses, pipeline requests, or open many connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest
import uvicorn

from security_common.edge import connection_limits as limits

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_SECONDS = 60
KERNEL_BYTES = 4096


class Server:
    """A server with responses of `response_bytes` bytes. Kernel buffers are small, so it has to keep the rest."""

    def __init__(self, running: uvicorn.Server) -> None:
        self.running = running
        self.response_bytes = 10
        self.requests = 0
        self.request_arrived = asyncio.Event()

    async def respond(self, scope, receive, send) -> None:
        self.requests += 1
        self.request_arrived.set()
        length = b"%d" % self.response_bytes
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"x" * self.response_bytes})

    def connect(self) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        client.connect(self.running.servers[0].sockets[0].getsockname())
        client.setblocking(False)
        return client

    async def until_connections(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.running.server_state.connections) != count:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)


@pytest.fixture
async def serve() -> AsyncIterator[Callable]:
    """Starts servers with a protocol class."""
    async with contextlib.AsyncExitStack() as opened:

        async def start(protocol: type[limits.BoundedConnection] = limits.BoundedConnection) -> Server:
            async def app(scope, receive, send):
                await server.respond(scope, receive, send)

            listener = socket.create_server(("127.0.0.1", 0))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            config = uvicorn.Config(app, lifespan="off", log_config=None, http=protocol, timeout_keep_alive=60)
            server = Server(uvicorn.Server(config))
            serving = asyncio.create_task(server.running._serve(sockets=[listener]))

            async def stop() -> None:
                server.running.force_exit = server.running.should_exit = True
                await serving

            opened.push_async_callback(stop)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not server.running.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
                    await asyncio.sleep(0.01)
            return server

        yield start


async def receive_all(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.get_running_loop().sock_recv(client, 65536):
            received += part
    return received


@pytest.mark.parametrize("response_bytes", [40_000, 4_000_000], ids=["small", "large"])
@pytest.mark.parametrize("request_head", [REQUEST, REQUEST.replace(b"1.1", b"1.0")], ids=["keep-alive", "close"])
async def test_the_connection_of_an_unread_response_is_aborted(serve, monkeypatch, response_bytes, request_head):
    monkeypatch.setattr(limits, "MAX_UNREAD_SECONDS", 0.1)
    server = await serve()
    server.response_bytes = response_bytes
    with server.connect() as client:
        await asyncio.get_running_loop().sock_sendall(client, request_head)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.request_arrived.wait()
        await server.until_connections(0)


async def test_a_response_that_is_read_slowly_arrives(serve, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNREAD_SECONDS", 2.0)
    server = await serve()
    server.response_bytes = 200_000
    with server.connect() as client:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, REQUEST)
        received = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while received < server.response_bytes:
                await asyncio.sleep(0.01)
                part = await loop.sock_recv(client, 4096)
                assert part, "the connection was closed"
                received += len(part)


async def test_too_many_pipelined_requests_abort_the_connection(serve):
    server = await serve()
    server.response_bytes = 1_000_000
    with server.connect() as client:
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(client, REQUEST * 5000)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.request_arrived.wait()
        await server.until_connections(0)
    assert server.requests <= 1 + limits.MAX_PIPELINED_REQUESTS


async def test_a_few_pipelined_requests_are_answered(serve):
    server = await serve()
    with server.connect() as client:
        ahead = REQUEST * (limits.MAX_PIPELINED_REQUESTS - 1) + REQUEST.replace(b"1.1", b"1.0")
        await asyncio.get_running_loop().sock_sendall(client, ahead)
        async with asyncio.timeout(PATIENCE_SECONDS):
            received = await receive_all(client)
    assert received.count(b"HTTP/1.1 200 ") == limits.MAX_PIPELINED_REQUESTS


async def test_a_server_that_drains_closes_each_connection_after_its_next_response(serve):
    protocol = limits.bounded_connections(per_address=0, trusted_proxies=())
    server = await serve(protocol)
    loop = asyncio.get_running_loop()
    with server.connect() as client:
        await loop.sock_sendall(client, REQUEST)
        async with asyncio.timeout(PATIENCE_SECONDS):
            first = await loop.sock_recv(client, 1000)
            protocol.closes_after_response = True
            await loop.sock_sendall(client, REQUEST)
            last = await receive_all(client)
    assert b"connection: close" not in first
    assert last.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in last
    assert not limits.BoundedConnection.closes_after_response, "other servers of the process do not drain"


async def test_connections_per_address_are_limited(serve):
    server = await serve(limits.bounded_connections(per_address=3, trusted_proxies=()))
    with contextlib.ExitStack() as opened:
        first = opened.enter_context(server.connect())
        for _ in range(2):
            opened.enter_context(server.connect())
        await server.until_connections(3)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await receive_all(opened.enter_context(server.connect())) == b""
        first.close()
        await server.until_connections(2)
        again = opened.enter_context(server.connect())
        await asyncio.get_running_loop().sock_sendall(again, REQUEST)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await asyncio.get_running_loop().sock_recv(again, 100)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("per_address", "trusted"), [(0, ()), (3, (ip_network("127.0.0.0/8"),))], ids=["no limit", "a trusted proxy"]
)
async def test_connections_are_unlimited_without_a_limit_and_for_trusted_proxies(serve, per_address, trusted):
    server = await serve(limits.bounded_connections(per_address=per_address, trusted_proxies=trusted))
    with contextlib.ExitStack() as opened:
        for _ in range(8):
            opened.enter_context(server.connect())
        await server.until_connections(8)
