"""The edge middleware in front of an application on a real socket, and the parsing that it shares with the guard."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest
import uvicorn

from security_common.edge import (
    BodyTooLarge,
    Edge,
    EdgeLimits,
    HttpResponse,
    Refusal,
    RequestContext,
    current_request,
    require_request_context,
)
from security_common.edge.request_context import RequestHeaders, parse_traceparent

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


async def describe(scope: Any, receive: Any, send: Any) -> None:
    """Responds with what the edge has read of the request."""
    context = require_request_context(scope)
    assert current_request.get() is context
    message = await receive() if context.body else {"body": b""}
    assert message["body"] == context.body
    members = {
        "source_address": context.source_address,
        "client": scope["client"][0],
        "trace_id": context.trace_id,
        "body_bytes": len(context.body or b""),
    }
    await HttpResponse(200, json.dumps(members).encode())(scope, receive, send)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Starts a server with this application and returns its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(app: Any) -> str:
            config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning", proxy_headers=False)
            config.load()
            server = uvicorn.Server(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            stack.push_async_callback(server.shutdown)
            return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

        yield start


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(verify=False) as client:
        yield client


async def test_the_application_finds_the_client_address_and_the_trace_id(serve, http):
    url = await serve(Edge(describe, trusted_proxies=[ip_network("127.0.0.0/8")]))
    headers = {"x-forwarded-for": "203.0.113.7", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    members = (await http.get(url, headers=headers)).json()
    assert (members["source_address"], members["client"], members["trace_id"]) == ("203.0.113.7", "203.0.113.7", TRACE)


async def test_a_request_without_a_trace_gets_a_new_trace_id(serve, http):
    url = await serve(Edge(describe))
    trace_ids = {(await http.get(url)).json()["trace_id"] for _ in range(2)}
    assert {len(trace_id) for trace_id in trace_ids} == {32}
    assert len(trace_ids) == 2


async def test_a_body_is_bounded_by_the_limit_of_its_path(serve, http):
    limits = EdgeLimits(max_body_bytes=10, body_bytes_by_path={"/large": 20})
    url = await serve(Edge(describe, limits=limits))

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x"

    for path, fits in (("/", 10), ("/large", 20)):
        assert (await http.post(url + path, content=b"x" * fits)).json()["body_bytes"] == fits
        for content in (b"x" * (fits + 1), chunks(fits + 1)):
            refused = await http.post(url + path, content=content)
            assert (refused.status_code, refused.json()["error"]) == (413, "content_too_large")
            assert refused.headers["connection"] == "close"


async def test_a_request_counts_as_received_when_its_last_byte_is_there(serve, http):
    received: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append(require_request_context(scope).received_at_seconds)
        await describe(scope, receive, send)

    sent: list[float] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        sent.append(time.perf_counter())
        yield b"x"

    assert (await http.post(await serve(Edge(app)), content=body())).status_code == 200
    assert received[0] > sent[0]


async def test_a_slow_body_is_refused_at_its_deadline(serve):
    url = await serve(Edge(describe, limits=EdgeLimits(body_deadline_seconds=0.05)))
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx")
    async with asyncio.timeout(20):
        response = await reader.read()
    writer.close()
    assert response.split()[1] == b"408"


async def test_large_headers_are_refused(serve, http):
    url = await serve(Edge(describe, limits=EdgeLimits(max_header_bytes=1000)))
    assert (await http.get(url, headers={"x-long": "x" * 1000})).status_code == 431


async def test_the_service_renders_the_refusal_in_its_own_format(serve, http):
    def render(refusal: Refusal, scope: Any) -> HttpResponse:
        assert isinstance(refusal, BodyTooLarge)
        assert require_request_context(scope).source_address == "127.0.0.1"
        return HttpResponse(400, scope["path"].encode())

    url = await serve(Edge(describe, limits=EdgeLimits(max_body_bytes=1), render_refusal=render))
    response = await http.post(f"{url}/token", content=b"xx")
    assert (response.status_code, response.text) == (400, "/token")


async def test_a_client_that_disconnects_gets_no_response():
    calls: list[Any] = []
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        calls.append(message)

    async def app(*_: Any) -> None:
        calls.append("application")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": None}
    await Edge(app)(scope, receive, send)
    assert calls == []
    assert require_request_context(scope).source_address == "unknown"


async def test_an_edge_behind_an_edge_does_nothing_twice(serve, http):
    contexts: list[RequestContext] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        contexts.append(require_request_context(scope))
        await describe(scope, receive, send)

    def fail(_: int) -> bytes:
        raise AssertionError("a second trace id was made")

    url = await serve(Edge(Edge(app, random_bytes=fail)))
    assert (await http.post(url, content=b"xx")).json()["body_bytes"] == 2
    assert len(contexts) == 1


@pytest.mark.parametrize(
    ("value", "trace_id"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"cc-{TRACE}-{PARENT}-00-what-a-later-version-adds", TRACE),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"cc-{TRACE}-{PARENT}-01.more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        (f"00-{TRACE}-{PARENT}-01\n", None),
        ("", None),
    ],
)
def test_traceparent_is_parsed_as_w3c_trace_context_defines(value, trace_id):
    assert parse_traceparent(value) == trace_id


@pytest.mark.parametrize("path", ["/%0a", "/items%0A", "/a%00b", "/%0d%0aset-cookie:x", "/%1f", "/%7f"])
async def test_a_path_with_a_control_character_is_not_found(serve, http, path):
    async def fail(*_: Any) -> None:
        raise AssertionError

    url = await serve(Edge(fail, limits=EdgeLimits(max_body_bytes=1)))
    response = await http.post(f"{url}{path}", content=b"longer than allowed")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize("path", ["/", "/items/%EA%B0%80", "/%C2%AD", "/a%20b"])
async def test_other_characters_in_a_path_are_passed_on(serve, http, path):
    assert (await http.get(f"{await serve(Edge(describe))}{path}")).status_code == 200


def test_a_repeated_header_has_all_its_values_in_order():
    headers = RequestHeaders([(b"accept", b"a "), (b"host", b"h"), (b"accept", b"b")])
    assert headers.all(b"accept") == ["a", "b"]
    assert headers.all(b"cookie") == []
