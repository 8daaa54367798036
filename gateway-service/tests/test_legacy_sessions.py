"""Sessions of servers of older protocol versions: one for each caller, made again when lost, ended with DELETE."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from upstream_servers import TEXT_RESULT, RawUpstream, http_response, json_response

pytestmark = pytest.mark.anyio


class SessionUpstream(RawUpstream):
    """An upstream of 2025-06-18 that assigns sessions, and answers 404 for one that is not in `sessions`."""

    def __init__(self) -> None:
        super().__init__(self._respond_in_session, answers_lists=False)
        self.sessions: set[str] = set()

    async def _respond_in_session(self, request: Any, writer: Any) -> None:
        head = self.heads[-1].lower()
        if request["method"] == "server/discover":
            writer.write(http_response(b"{}", status="400 Bad Request"))
        elif request["method"] == "initialize":
            session = f"s-{len(self.requests)}"
            self.sessions.add(session)
            response = json_response(request, {"protocolVersion": "2025-06-18", "capabilities": {}})
            header = f"\r\nMcp-Session-Id: {session}\r\nContent-Type".encode()
            writer.write(response.replace(b"\r\ncontent-type", header, 1))
        elif not any(f"mcp-session-id: {each}\r\n" in head for each in self.sessions):
            writer.write(http_response(b"", status="404 Not Found"))
        elif request["method"] == "tools/list":
            writer.write(json_response(request, {"tools": self.tools}))
        elif "id" in request:
            writer.write(json_response(request, TEXT_RESULT))
        else:
            writer.write(http_response(b"", status="202 Accepted"))


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
    async with SessionUpstream() as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url}})
        await gateway.wait_until_listed("crm")
        assert (await gateway.call("crm_act")).text == "done"
        upstream.sessions.clear()
        assert (await gateway.call("crm_act")).text == "done"
        assert "mcp-protocol-version: 2025-06-18" in upstream.heads[-1].lower()
        handshakes = [each["method"] for each in upstream.requests].count("initialize")
        assert handshakes == 3  # for the list, for the caller, and for the caller again


async def test_sessions_are_ended_when_the_gateway_stops(
    start_gateway: Callable[..., Any], gateway_stack: AsyncExitStack
) -> None:
    async with SessionUpstream() as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url}})
        await gateway.wait_until_listed("crm")
        assert (await gateway.call("crm_act")).text == "done"
        assert upstream.deletions == []
        await gateway_stack.aclose()
        ended = {head.lower().split("mcp-session-id: ")[1].split("\r\n")[0] for head in upstream.deletions}
        used = {head.lower().split("mcp-session-id: ")[1].split("\r\n")[0] for head in upstream.heads if "s-" in head}
        assert ended == used
        assert len(ended) == 2  # that of the list, and that of the caller


async def test_a_gateway_that_stops_waits_for_the_sessions_of_a_removed_upstream(
    start_gateway: Callable[..., Any], gateway_stack: AsyncExitStack, tmp_path: Path
) -> None:
    async with SessionUpstream() as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url}})
        await gateway.wait_until_listed("crm")
        upstream.deletion_seconds = 1.0  # longer than the pauses between repeated cancellations
        (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": {"other": {"url": upstream.url}}}))
        await upstream.wait_for_deletions()
        await gateway_stack.aclose()
        assert upstream.ended_sessions == len(upstream.deletions) >= 1
