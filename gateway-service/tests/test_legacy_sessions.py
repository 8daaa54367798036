"""Sessions of servers of older protocol versions: one for each caller, opened once, and made again when lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, http_response, json_response

from gateway_service.upstreams import legacy_sessions
from gateway_service.upstreams.errors import UpstreamUnavailable
from gateway_service.upstreams.legacy_sessions import LegacySession, LegacySessions

pytestmark = pytest.mark.anyio


class Server:
    """Opens sessions with increasing ids, or without ids."""

    def __init__(self, *, assigns: bool = True) -> None:
        self.assigns = assigns
        self.opened = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: Exception | None = None

    async def open(self) -> LegacySession:
        self.opened += 1
        number = self.opened
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return LegacySession("2025-11-25", f"s-{number}" if self.assigns else None)


async def test_each_owner_has_a_session_of_its_own() -> None:
    server = Server()
    sessions = LegacySessions(server.open)
    owners = ("a", "b", "a", "b", "")
    assert [(await sessions.of(owner)).session_id for owner in owners] == ["s-1", "s-2", "s-1", "s-2", "s-3"]


async def test_calls_at_the_same_time_open_one_session() -> None:
    server = Server()
    server.may_answer.clear()
    sessions = LegacySessions(server.open)
    calls = [asyncio.create_task(sessions.of("a")) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()  # the others still wait for the handshake that it began
    server.may_answer.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert server.opened == 1
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.session_id for result in results[1:] if isinstance(result, LegacySession)} == {"s-1"}


async def test_a_server_without_sessions_is_asked_once_for_all_owners() -> None:
    server = Server(assigns=False)
    sessions = LegacySessions(server.open)
    for owner in ("a", "b", "c"):
        assert (await sessions.of(owner)).headers == {"MCP-Protocol-Version": "2025-11-25"}
    assert server.opened == 1


async def test_a_handshake_that_failed_is_tried_again() -> None:
    server = Server()
    server.failure = UpstreamUnavailable("down")
    sessions = LegacySessions(server.open)
    with pytest.raises(UpstreamUnavailable):
        await sessions.of("a")
    server.failure = None
    assert (await sessions.of("a")).session_id == "s-2"


async def test_a_lost_session_is_opened_again_for_its_owner_only() -> None:
    server = Server()
    sessions = LegacySessions(server.open)
    lost = await sessions.of("a")
    await sessions.of("b")
    sessions.forget(lost)
    assert [(await sessions.of(owner)).session_id for owner in ("a", "b")] == ["s-3", "s-2"]


async def test_the_number_of_sessions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_sessions, "MAX_SESSIONS", 2)
    server = Server()
    sessions = LegacySessions(server.open)
    for owner in ("a", "b", "a", "c", "a"):
        await sessions.of(owner)
    assert server.opened == 3
    await sessions.of("b")
    assert server.opened == 4


async def test_an_abandoned_call_is_cancelled_at_the_upstream(start_gateway: Callable[..., Any]) -> None:
    """In older versions a closed connection does not cancel a request; a notification does."""
    cancelled = asyncio.Event()

    async def respond(request: Any, writer: Any) -> None:
        if request["method"] == "server/discover":
            writer.write(http_response(b"{}", status="400 Bad Request"))
        elif request["method"] == "initialize":
            writer.write(json_response(request, {"protocolVersion": "2025-11-25", "capabilities": {}}))
        elif request["method"] == "tools/list":
            writer.write(json_response(request, {"tools": upstream.tools}))
        elif request["method"] == "tools/call":
            await asyncio.sleep(60)
        else:
            writer.write(http_response(b"", status="202 Accepted"))
            if request["method"] == "notifications/cancelled":
                cancelled.set()

    async with RawUpstream(respond, answers_lists=False) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url, "timeout": "1s"}})
        await gateway.wait_until_listed("crm")
        assert (await gateway.call("crm_act")).text.startswith("upstream_timeout")
        await cancelled.wait()
        cancelled.clear()
        leaving = asyncio.create_task(gateway.call("crm_act"))
        await upstream.wait_for_calls(2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await cancelled.wait()
        calls = [each["id"] for each in upstream.requests if each["method"] == "tools/call"]
        sent = [each["params"] for each in upstream.requests if each["method"] == "notifications/cancelled"]
        assert [each["requestId"] for each in sent] == calls


async def test_an_upstream_that_forgot_the_session_is_called_once_more(start_gateway: Callable[..., Any]) -> None:
    """A server that was restarted answers 404 for sessions of before; the request was not processed then."""
    valid: set[str] = set()

    async def respond(request: Any, writer: Any) -> None:
        head = upstream.heads[-1].lower()
        if request["method"] == "server/discover":
            writer.write(http_response(b"{}", status="400 Bad Request"))
        elif request["method"] == "initialize":
            valid.add(f"s-{len(upstream.requests)}")
            result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}
            response = json_response(request, result)
            identifier = f"\r\nMcp-Session-Id: {max(valid)}\r\nContent-Type".encode()
            writer.write(response.replace(b"\r\ncontent-type", identifier, 1))
        elif not any(f"mcp-session-id: {each}\r\n" in head for each in valid):
            writer.write(http_response(b"", status="404 Not Found"))
        elif request["method"] == "tools/list":
            writer.write(json_response(request, {"tools": upstream.tools}))
        elif "id" in request:
            writer.write(json_response(request, TEXT_RESULT))
        else:
            writer.write(http_response(b"", status="202 Accepted"))

    async with RawUpstream(respond, answers_lists=False) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url}})
        await gateway.wait_until_listed("crm")
        assert (await gateway.call("crm_act")).text == "done"
        valid.clear()
        assert (await gateway.call("crm_act")).text == "done"
        assert "mcp-protocol-version: 2025-06-18" in upstream.heads[-1].lower()
        handshakes = [each["method"] for each in upstream.requests].count("initialize")
        assert handshakes == 3  # for the list, for the caller, and for the caller again
