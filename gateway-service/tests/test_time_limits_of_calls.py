"""How long a call of an upstream takes in all, what waits for an upstream that is silent, and cancellations."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, http_response, json_response

from gateway_service.declaration import ToolRule, UpstreamDeclaration
from gateway_service.upstreams import HttpConnections, Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamTimeout
from gateway_service.upstreams.http_transport import MAX_CANCELLATIONS
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
Respond = Callable[[Mapping[str, Any], Any], Awaitable[None]]


def call(owner: str, tool: str = "act") -> UpstreamCall:
    return UpstreamCall(method="tools/call", params={"name": tool}, owner=owner)


def declare(server: RawUpstream, **members: Any) -> UpstreamDeclaration:
    return UpstreamDeclaration(name="crm", url=server.url, default_rule=RULE, **members)


async def test_all_requests_of_a_call_together_have_one_time_limit() -> None:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        await asyncio.sleep(0.7)
        if request["method"] == "server/discover":
            discovered = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
            writer.write(json_response(request, discovered))
        else:
            writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(respond, answers_lists=False) as server, HttpConnections() as connections:
        upstream = Upstream(declare(server, longest_seconds=1.0), connections)
        with pytest.raises(UpstreamTimeout):
            await upstream.call(call("kim"))
        await upstream.close()


async def test_calls_that_wait_for_an_upstream_that_is_silent_fail_together() -> None:
    async def never(_: Mapping[str, Any], writer: Any) -> None:
        del writer
        await asyncio.sleep(60)

    async with RawUpstream(never, answers_lists=False) as server, HttpConnections() as connections:
        upstream = Upstream(declare(server, silent_seconds=0.5), connections)
        failures = await asyncio.gather(
            *(upstream.call(call(f"u-{number}")) for number in range(10)), return_exceptions=True
        )
        assert {type(failure) for failure in failures} == {UpstreamTimeout}
        assert len(server.requests) == 1
        await upstream.close()


async def test_cancellations_that_an_older_server_does_not_accept_do_not_add_up() -> None:
    async def respond(request: Mapping[str, Any], writer: Any) -> None:
        match request["method"], request.get("params", {}).get("name"):
            case "server/discover", _:
                writer.write(http_response(b"{}", status="400 Bad Request"))
            case "initialize", _:
                writer.write(json_response(request, {"protocolVersion": "2025-11-25", "capabilities": {}}))
            case "notifications/initialized", _:
                writer.write(http_response(b"", status="202 Accepted"))
            case "tools/call", "act":
                writer.write(json_response(request, TEXT_RESULT))
            case _:
                await asyncio.sleep(60)

    async with RawUpstream(respond, answers_lists=False) as server, HttpConnections() as connections:
        upstream = Upstream(declare(server), connections)
        await upstream.call(call("kim"))
        calls = [asyncio.create_task(upstream.call(call("kim", "slow"))) for _ in range(2 * MAX_CANCELLATIONS)]
        await server.wait_for_calls(1 + len(calls))
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        while count(server) < MAX_CANCELLATIONS:  # noqa: ASYNC110 - the server reports only calls
            await asyncio.sleep(0.02)
        for _ in range(3):
            await upstream.call(call("kim"))
        assert count(server) == MAX_CANCELLATIONS
        await upstream.close()


def count(server: RawUpstream) -> int:
    return [request["method"] for request in server.requests].count("notifications/cancelled")
