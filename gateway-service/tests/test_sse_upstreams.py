"""Upstreams over HTTP+SSE, the transport of 2024-11-05: a session for each caller, and a new one when it is lost."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, Watched, customers

from gateway_service.upstreams.sse_transport import MAX_SENDING

pytestmark = pytest.mark.anyio

MARK = "words of the upstream"
Serve = Callable[[Any], Awaitable[str]]
Start = Callable[..., Awaitable[Any]]


class SseServer:
    """An ASGI application of the old transport whose answers to tool calls are events that the test writes."""

    def __init__(self, address: str = "/messages", *events: bytes) -> None:
        self.address = address
        self.events = events
        self.sessions: list[asyncio.Queue[bytes]] = []
        self.accepts = True
        self.received: list[dict[str, Any]] = []
        self.answers_not_accepted = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            await self._stream(receive, send)
        elif scope["type"] == "http":
            message = json.loads((await receive())["body"])
            if "method" not in message:  # the answer to a ping
                self.answers_not_accepted += 1
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
            status = 202 if self.accepts else 404
            self.accepts = True
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            if status == 202:
                self.received.append(message)
                self._answer(message, self.sessions[int(scope["query_string"])])

    async def _stream(self, receive: Any, send: Any) -> None:
        events: asyncio.Queue[bytes] = asyncio.Queue()
        self.sessions.append(events)
        watching = asyncio.create_task(end_at_disconnect(receive, events))
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        address = f"event: endpoint\r\ndata: {self.address}?{len(self.sessions) - 1}\r\n\r\n"
        await send({"type": "http.response.body", "body": address.encode(), "more_body": True})
        while True:
            event = await events.get()
            await send({"type": "http.response.body", "body": event, "more_body": bool(event)})
            if not event:
                watching.cancel()
                return

    def _answer(self, message: dict[str, Any], events: asyncio.Queue[bytes]) -> None:
        match message["method"]:
            case "initialize":
                result: Any = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}
            case "tools/list":
                result = {"tools": [{"name": "act", "inputSchema": {"type": "object"}}]}
            case "tools/call" if self.events:
                for event in self.events:
                    events.put_nowait(event)
                return
            case "tools/call":
                result = TEXT_RESULT
            case _ if "id" in message:
                events.put_nowait(data({"id": message["id"], "error": {"code": -32601, "message": "unknown"}}))
                return
            case _:
                return
        events.put_nowait(data({"id": message["id"], "result": result}))


async def end_at_disconnect(receive: Any, events: asyncio.Queue[bytes]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    events.put_nowait(b"")


def data(message: dict[str, Any]) -> bytes:
    return b"event: message\ndata: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n"


def entry(url: str, **members: Any) -> dict[str, Any]:
    limits = {"timeout": "60s", "longest": "60s", "result_limit": "64KiB"}
    return {"url": f"{url}/sse", "type": "sse", **limits, **members}


# For servers that answer too late. A shorter time could also end an answer in time on a slow machine.
GIVES_UP_SOON = {"timeout": "2s", "longest": "5s"}


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_real_server_of_the_old_transport_is_called_by_clients_of_both_kinds(
    serve_app: Serve, start_gateway: Start, *, stateless: bool
) -> None:
    url = await serve_app(customers().http_app(path="/sse", transport="sse"))
    gateway = await start_gateway({"crm": entry(url, policy="mask")})
    await gateway.wait_until_listed("crm")
    found = await gateway.call("crm_find", {"customer_id": "c_1"}, stateless=stateless)
    assert found.result["structuredContent"] == {"id": "c_1", "phone": "010-****-5678"}
    (event,) = gateway.events()
    assert (event["outcome"], event["tool_name"]) == ("success", "crm_find")


async def test_callers_have_sessions_of_their_own_that_are_kept(serve_app: Serve, start_gateway: Start) -> None:
    server = SseServer()
    gateway = await start_gateway({"crm": entry(await serve_app(server))})
    await gateway.wait_until_listed("crm")
    for sub in ("u_1", "u_2", "u_1"):
        assert (await gateway.call("crm_act", token=gateway.token(sub=sub))).text == "done"
    assert len(server.sessions) == 3  # that of the list, and one for each caller


async def test_every_request_has_the_credential_and_nothing_of_the_caller(
    serve_app: Serve, start_gateway: Start, tmp_path: Any
) -> None:
    (tmp_path / "secret").write_text("secret-1")
    watched = Watched(SseServer())
    gateway = await start_gateway({"crm": entry(await serve_app(watched), credential={"secret_file": "secret"})})
    await gateway.wait_until_listed("crm")
    token = gateway.token()
    assert (await gateway.call("crm_act", token=token)).text == "done"
    assert {headers["authorization"] for headers in watched.headers} == {"Bearer secret-1"}
    assert token.encode() not in watched.everything


async def test_a_session_that_is_lost_is_made_again(serve_app: Serve, start_gateway: Start) -> None:
    server = SseServer()
    gateway = await start_gateway({"crm": entry(await serve_app(server))})
    await gateway.wait_until_listed("crm")
    assert (await gateway.call("crm_act")).text == "done"
    assert len(server.sessions) == 2  # that of the list, and that of the caller
    server.sessions[1].put_nowait(b"")  # the server ends the stream
    while True:
        answer = await gateway.call("crm_act")
        if answer.text == "done" and len(server.sessions) == 3:
            break
    server.accepts = False  # the next message is answered with 404
    assert (await gateway.call("crm_act")).text == "done"
    assert len(server.sessions) == 4


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/messages", "https://other.example/messages", "//other.example/m", "http://["]
)
async def test_an_address_of_another_origin_is_refused(serve_app: Serve, start_gateway: Start, address: str) -> None:
    """Otherwise the server could send the gateway's credential to another one."""
    server = SseServer(address)
    gateway = await start_gateway({"crm": entry(await serve_app(server))})
    assert await gateway.wait_for_problem("crm") == "crm did not name a URL of its own origin for messages"
    assert server.received == []


BROKEN: dict[str, tuple[tuple[bytes, ...], str]] = {
    "not JSON": ((f"data: {MARK}\n\n".encode(),), "upstream_protocol"),
    "another id": ((data({"id": 4711, "result": TEXT_RESULT}),), "upstream_protocol"),
    "too many notifications": ((data({"method": "notifications/message", "params": {}}) * 300,), "upstream_protocol"),
    "too large": ((b"data: " + b"x" * 70_000 + b"\n\n",), "upstream_protocol"),
    "an event without an end": ((b"data: " + b"x" * 70_000,), "upstream_protocol"),
    "end of the stream": ((b"",), "upstream_unavailable"),
    "no answer": ((b": comment\n\n",), "upstream_timeout"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_an_answer_that_the_protocol_forbids_is_not_passed_on(
    serve_app: Serve, start_gateway: Start, kind: str
) -> None:
    events, reason = BROKEN[kind]
    server = SseServer("/messages", *events)
    limits = GIVES_UP_SOON if reason == "upstream_timeout" else {}
    gateway = await start_gateway({"crm": entry(await serve_app(server), **limits)})
    await gateway.wait_until_listed("crm")
    answer = await gateway.call("crm_act")
    assert answer.text.startswith(f"{reason}: crm ")
    assert MARK not in str(answer.message)
    (recorded,) = gateway.events()
    assert (recorded["outcome"], recorded["reason"]) == ("failure", reason)
    server.events = ()
    while True:
        if (await gateway.call("crm_act")).text == "done":
            return


async def test_answers_that_a_server_does_not_accept_do_not_add_up(serve_app: Serve, start_gateway: Start) -> None:
    pings = [data({"id": number, "method": "ping"}) for number in range(2 * MAX_SENDING)]
    server = SseServer("/messages", *pings)
    gateway = await start_gateway({"crm": entry(await serve_app(server), **GIVES_UP_SOON)})
    await gateway.wait_until_listed("crm")
    assert (await gateway.call("crm_act")).text.startswith("upstream_timeout: crm ")
    assert server.answers_not_accepted == MAX_SENDING
