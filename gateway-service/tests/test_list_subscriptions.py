"""Notifications that a list has changed, for clients of 2026-07-28 that have subscribed to them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from upstream_servers import RawUpstream, json_response

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"
ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


class Changing:
    """A gateway in front of an upstream whose lists the test changes."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {"tools": [self.tool("a")], "prompts": [], "resources": []}
        self.gateway: Any = None

    @staticmethod
    def tool(name: str, **members: Any) -> dict[str, Any]:
        return {"name": name, "inputSchema": {"type": "object"}, **members}

    async def respond(self, request: Mapping[str, Any], writer: Any) -> None:
        method = request["method"]
        if method == "server/discover":
            capabilities = {"tools": {}, "prompts": {}, "resources": {}}
            result: dict[str, Any] = {"supportedVersions": ["2026-07-28"], "capabilities": capabilities}
        elif method == "resources/templates/list":
            result = {"resourceTemplates": []}
        else:
            kind = method.removesuffix("/list")
            result = {kind: self.lists[kind]}
        writer.write(json_response(request, result))

    @asynccontextmanager
    async def listen(self, notifications: Any, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The messages of one subscription."""
        metadata = {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": {}}
        params = {"notifications": notifications, "_meta": metadata}
        message = {"jsonrpc": "2.0", "id": "s-1", "method": "subscriptions/listen", "params": params}
        sent = {
            "authorization": f"Bearer {self.gateway.token()}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "subscriptions/listen",
            **headers,
        }
        async with self.gateway.http.stream("POST", self.gateway.mcp_url(), json=message, headers=sent) as response:
            assert response.status_code == 200
            yield (json.loads(line[6:]) async for line in response.aiter_lines() if line.startswith("data: "))


@pytest.fixture
async def changing(start_gateway: Callable[..., Any]) -> AsyncIterator[Changing]:
    server = Changing()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(RawUpstream(server.respond, answers_lists=False))
        rules = {"prompts": {"*": {}}, "resources": {"a://*": {}}}
        server.gateway = await start_gateway({"crm": {"url": upstream.url, **rules}}, settings={"refresh_seconds": 1})
        await server.gateway.wait_until_listed("crm")
        yield server


async def test_a_subscriber_is_told_which_list_has_changed(changing: Changing) -> None:
    async with changing.listen(ALL) as messages:
        first = await anext(messages)
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"] == {"notifications": ALL, "_meta": {f"{META}subscriptionId": "s-1"}}
        for kind, items in (
            ("tools", [changing.tool("a"), changing.tool("b")]),
            ("prompts", [{"name": "p"}]),
            ("resources", [{"uri": "a://b"}]),
            ("tools", [changing.tool("a", description="another text"), changing.tool("b")]),
        ):
            changing.lists[kind] = items
            changed = await anext(messages)
            assert changed["method"] == f"notifications/{kind}/list_changed"
            assert changed["params"] == {"_meta": {f"{META}subscriptionId": "s-1"}}
    assert await changing.gateway.tool_names() == ["crm_a", "crm_b"]


async def test_a_subscriber_gets_only_what_it_has_asked_for(changing: Changing) -> None:
    wanted = {"promptsListChanged": True, "toolsListChanged": False, "resourceSubscriptions": ["a://b"], "other": True}
    async with changing.listen(wanted) as messages:
        first = await anext(messages)
        assert first["params"]["notifications"] == {"promptsListChanged": True}
        changing.lists["tools"] = []
        changing.lists["resources"] = [{"uri": "a://b"}, {"uri": "b://not-named"}]
        changing.lists["prompts"] = [{"name": "p"}]
        assert (await anext(messages))["method"] == "notifications/prompts/list_changed"


async def test_a_subscription_ends_after_a_while(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_service.relay.list_subscriptions.MAX_STREAM_SECONDS", 0.1)
    async with changing.listen(ALL) as messages:
        ended = [message async for message in messages][-1]
    assert ended["result"] == {"resultType": "complete", "_meta": {f"{META}subscriptionId": "s-1"}}


async def test_a_new_configuration_ends_the_stream_with_its_notifications(changing: Changing, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    async with changing.listen({"toolsListChanged": True}) as messages:
        await anext(messages)
        file.write_text(file.read_text() + "defaults: {policy: mask}\n")
        assert (await anext(messages))["method"] == "notifications/tools/list_changed"
        assert "result" in await anext(messages)
    async with changing.listen({"toolsListChanged": True}) as messages:
        assert (await anext(messages))["method"] == "notifications/subscriptions/acknowledged"


async def test_a_subscription_is_kept_alive(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_service.relay.list_subscriptions.KEEP_ALIVE_SECONDS", 0.0)
    monkeypatch.setattr("gateway_service.relay.list_subscriptions.MAX_STREAM_SECONDS", 1.2)
    async with changing.listen({}) as messages:
        assert [message.get("method") for message in [each async for each in messages]] == [
            "notifications/subscriptions/acknowledged",
            None,
        ]


async def test_too_many_subscriptions_are_refused(changing: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_service.relay.list_subscriptions.MAX_STREAMS_OF_CALLER", 1)
    async with changing.listen({}) as messages:
        await anext(messages)
        refused = await changing.gateway.request("subscriptions/listen", {"notifications": {}})
        assert refused.error["code"] == -32603
        other = changing.gateway.token(sub="u_other")
        monkeypatch.setattr("gateway_service.relay.list_subscriptions.MAX_STREAM_SECONDS", 0.0)
        allowed = await changing.gateway.request("subscriptions/listen", {"notifications": {}}, token=other)
        assert allowed.status == 200
    while "error" in (refused.message or {}):  # its place is free once the closed connection was noticed
        refused = await changing.gateway.request("subscriptions/listen", {"notifications": {}})
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("params", "accept", "stateless", "code"),
    [
        ({}, "text/event-stream", True, -32602),
        ({"notifications": []}, "text/event-stream", True, -32602),
        ({"notifications": {}}, "application/json", True, -32600),
        ({"notifications": {}}, "text/event-stream", False, -32601),
    ],
)
async def test_what_is_not_a_subscription_is_refused(
    changing: Changing, params: dict[str, Any], accept: str, stateless: bool, code: int
) -> None:
    headers = {"accept": f"application/json, {accept}"}
    answer = await changing.gateway.request("subscriptions/listen", params, stateless=stateless, headers=headers)
    assert answer.error["code"] == code


async def test_only_clients_that_can_subscribe_are_told_that_they_can(changing: Changing) -> None:
    found = (await changing.gateway.request("server/discover")).result["capabilities"]
    begun = (await changing.gateway.request("initialize", {}, stateless=False)).result["capabilities"]
    for kind in ("tools", "prompts", "resources"):
        assert (found[kind], begun[kind]) == ({"listChanged": True}, {})
