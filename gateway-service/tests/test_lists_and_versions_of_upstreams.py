"""Lists of upstreams that do not end, and servers that know 2026-07-28 and do not speak it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, http_response, json_response

pytestmark = pytest.mark.anyio

TOOL = {"name": "act", "inputSchema": {"type": "object"}}
Request = Mapping[str, Any]


@pytest.fixture
async def start(start_gateway: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    """Starts a gateway in front of an upstream whose answers are the results that a function returns."""
    async with AsyncExitStack() as stack:

        async def start_one(result_of: Callable[[Request], Any]) -> tuple[Any, RawUpstream]:
            async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
                result = result_of(request)
                writer.write(http_response(b"", status="202 Accepted") if result is None else result)

            upstream = await stack.enter_async_context(RawUpstream(respond, answers_lists=False))
            return await start_gateway({"crm": {"url": upstream.url}}), upstream

        yield start_one


@pytest.mark.parametrize(
    "kind",
    [
        "the same cursor",
        "a new cursor each time",
        "empty cursor",
        "thousands of tools",
        "thousands of tools on a page",
        "large pages",
    ],
)
async def test_item_g29_a_list_without_an_end_is_given_up(start: Callable[..., Any], kind: str) -> None:
    cursors = {"the same cursor": lambda _: "c", "empty cursor": lambda _: ""}

    def result_of(request: Request) -> bytes:
        if request["method"] == "server/discover":
            return json_response(request, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
        cursor = cursors.get(kind, lambda each: f"c-{each['id']}")(request)
        if kind == "thousands of tools on a page":
            return json_response(request, {"tools": [TOOL] * 2001})
        tools = [{**TOOL, "description": "a" * 2_000_000}] if kind == "large pages" else [TOOL]
        tools *= 1500 if kind == "thousands of tools" else 1
        return json_response(request, {"tools": tools, "nextCursor": cursor})

    gateway, upstream = await start(result_of)
    too_many = kind in {"thousands of tools", "thousands of tools on a page"}
    problem = "a list with more than 2000 tools" if too_many else "a list of tools without an end"
    assert await gateway.wait_for_problem("crm") == f"crm sent {problem}"
    asked = [request["method"] for request in upstream.requests].count("tools/list")
    expected = {
        "the same cursor": 2,
        "empty cursor": 2,
        "thousands of tools": 2,
        "thousands of tools on a page": 1,
        "large pages": 9,
        "a new cursor each time": 65,
    }
    assert asked <= expected[kind]
    assert await gateway.tool_names() == []


async def test_item_g42_a_server_that_negotiates_down_is_used_with_the_handshake(start: Callable[..., Any]) -> None:
    """Some servers answer `server/discover` with their older versions only."""

    def result_of(request: Request) -> bytes | None:
        results = {
            "server/discover": {"supportedVersions": ["2025-11-25"], "capabilities": {"tools": {}}},
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {}},
            "tools/list": {"tools": [TOOL]},
            "tools/call": TEXT_RESULT,
        }
        result = results.get(request["method"])
        return None if result is None else json_response(request, result)

    gateway, upstream = await start(result_of)
    await gateway.wait_until_listed("crm")
    for stateless in (True, False):
        assert (await gateway.call("crm_act", stateless=stateless)).text == "done"
    call = upstream.requests[-1]
    assert "io.modelcontextprotocol" not in json.dumps(call)
    assert "mcp-protocol-version: 2025-06-18" in upstream.heads[-1].lower()
