"""Upstreams with `list: live`, whose tools differ from caller to caller and are not pinned."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

from gateway_service.catalogue.definition_changes import approve
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock, write_lock

pytestmark = pytest.mark.anyio

Start = Callable[..., Awaitable[Any]]


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"The tool {name}.", "inputSchema": {"type": "object"}}


async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(json_response(request, TEXT_RESULT))


@pytest.fixture
async def live() -> AsyncIterator[RawUpstream]:
    async with RawUpstream(answer, [tool("read")]) as running:
        yield running


@pytest.fixture
async def pinned() -> AsyncIterator[RawUpstream]:
    async with RawUpstream(answer, [tool("find")]) as running:
        yield running


@pytest.fixture
def start(start_gateway: Start, live: RawUpstream, pinned: RawUpstream, tmp_path: Path) -> Start:
    """A gateway with a live and a pinned upstream. The background asks once."""

    async def start_one(**members: Any) -> Any:
        approved = {DefinitionKind.TOOL: {"find": approve(DefinitionKind.TOOL, tool("find"))}}
        write_lock(tmp_path / "gateway.lock", Lock().with_upstream("crm", ApprovedUpstream(definitions=approved)))
        upstreams = {"own": {"url": live.url, "list": "live", **members}, "crm": {"url": pinned.url}}
        gateway = await start_gateway(upstreams, settings={"refresh_seconds": 3600})
        await gateway.wait_until_listed("own", "crm")
        return gateway

    return start_one


async def test_each_list_is_requested_and_filtered(start: Start, live: RawUpstream) -> None:
    gateway = await start(tools={"read*": {}, "admin*": {"scope": "mcp.admin"}})
    assert await gateway.tool_names() == ["crm_find", "own_read"]
    live.tools = [tool("admin"), tool("read_all"), tool("unlisted")]
    listed = await gateway.request("tools/list")
    assert [each["name"] for each in listed.result["tools"]] == ["crm_find", "own_admin", "own_read_all"]
    assert (listed.result["ttlMs"], listed.result["cacheScope"]) == (0, "private")
    assert await gateway.tool_names("own") == ["admin", "read_all"]
    assert await gateway.tool_names("crm") == ["find"]
    lists = [request for request in live.requests if request["method"] == "tools/list"]
    assert len(lists) == 4  # one in the background, and one for each list with this upstream


async def test_what_a_list_has_shown_can_be_called_under_its_rule(start: Start, live: RawUpstream) -> None:
    gateway = await start(tools={"read*": {}, "admin*": {"scope": "mcp.admin"}})
    assert (await gateway.call("own_admin_all")).error["message"].startswith("Unknown tool")
    live.tools = [tool("admin_all"), tool("read_all")]
    await gateway.tool_names()
    assert (await gateway.call("own_admin_all")).status == 403
    assert (await gateway.call("admin_all", upstream="own")).status == 403
    token = gateway.token(scope="mcp.access mcp.admin")
    assert (await gateway.call("own_admin_all", token=token)).text == "done"
    live.tools = [tool("read")]
    assert await gateway.tool_names() == ["crm_find", "own_read"]
    assert (await gateway.call("own_read_all")).text == "done"  # another caller may still have it
    live.tools = [tool("unlisted")]
    await gateway.tool_names()
    assert (await gateway.call("own_unlisted")).error["message"].startswith("Unknown tool")


async def test_an_upstream_that_does_not_answer_is_named(start: Start, live: RawUpstream) -> None:
    gateway = await start()
    await live.stop()
    listed = await gateway.request("tools/list")
    assert [each["name"] for each in listed.result["tools"]] == ["crm_find"]
    assert listed.result["_meta"] == {"mcp-oauth2-gateway/unavailable": ["own"]}
    assert (await gateway.request("tools/list", upstream="crm")).result["ttlMs"] > 0
