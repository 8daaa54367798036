"""Calls through the gateway, for every pair of protocol versions, with real servers and real clients."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from upstream_servers import EMAIL, PHONE, OldVersionsOnly, Watched, customers

pytestmark = pytest.mark.anyio

# The arguments of `fail` arrive as they are, so that its error has personal data.
TOOLS = {"fail": {"arguments": "observe"}, "*": {}}
KINDS = ("stateless", "old-with-sessions", "old-without-sessions")


def upstream_app(kind: str) -> Any:
    app = customers().http_app(path="/mcp", stateless_http=kind != "old-with-sessions")
    return app if kind == "stateless" else OldVersionsOnly(app)


@pytest.fixture(params=KINDS)
async def gateway(
    request: pytest.FixtureRequest, serve_app: Callable[[Any], Awaitable[str]], start_gateway: Callable[..., Any]
) -> Any:
    """A gateway in front of one server, which speaks one kind of protocol versions."""
    url = await serve_app(upstream_app(request.param))
    running = await start_gateway({"crm": {"url": f"{url}/mcp", "policy": "mask", "tools": TOOLS}})
    await running.wait_until_listed("crm")
    return running


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_call_has_the_result_of_the_upstream(gateway: Any, stateless: bool) -> None:
    answer = await gateway.call("crm_echo", {"text": "hello"}, stateless=stateless)
    assert (answer.status, answer.text) == (200, "hello")
    assert answer.message["id"] == 7
    assert answer.result.get("resultType") == ("complete" if stateless else None)
    assert not [name for name in answer.result.get("_meta", {}) if name.startswith("io.modelcontextprotocol/")]


@pytest.mark.parametrize("stateless", [True, False])
async def test_each_upstream_is_alone_at_its_own_address(gateway: Any, stateless: bool) -> None:
    names = ["echo", "fail", "find", "visits", "wait"]
    assert await gateway.tool_names("crm", stateless=stateless) == names
    assert await gateway.tool_names(stateless=stateless) == [f"crm_{name}" for name in names]
    assert (await gateway.call("echo", {"text": "hi"}, upstream="crm", stateless=stateless)).text == "hi"


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy", "auto"])
async def test_a_client_of_the_sdk_lists_and_calls(gateway: Any, mode: str) -> None:
    async with Client(gateway.mcp_url(), auth=gateway.token(), mode=mode) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert "crm_find" in tools
        found = await client.call_tool("crm_find", {"customer_id": "c_1"})
        assert found.structured_content == {"id": "c_1", "phone": "010-****-5678"}


async def test_personal_data_is_masked_in_both_directions_and_recorded(gateway: Any) -> None:
    answer = await gateway.call("crm_echo", {"text": f"call {PHONE}"})
    assert answer.text == "call 010-****-5678"
    (event,) = gateway.events()
    assert event["tool_name"] == "crm_echo"
    assert event["action_taken"] == "executed_with_masking"
    assert (event["outcome"], event["contains_pii"]) == ("success", True)
    assert event["user_id"] == "u_tester"
    assert PHONE not in str(event)


async def test_an_error_of_a_tool_is_masked_and_recorded_as_a_failure(gateway: Any) -> None:
    answer = await gateway.call("crm_fail", {"text": EMAIL})
    assert answer.status == 200
    assert answer.result["isError"] is True
    assert EMAIL not in str(answer.message)
    assert [(event["outcome"], event["reason"]) for event in gateway.events()] == [("failure", "tool_error")]


async def test_callers_do_not_share_a_session(gateway: Any, request: pytest.FixtureRequest) -> None:
    async def visits(subject: str) -> Any:
        return (await gateway.call("crm_visits", token=gateway.token(sub=subject))).result

    first = [await visits("u_one"), await visits("u_one")]
    second = await visits("u_two")
    counts = [result["structuredContent"]["result"] for result in (*first, second)]
    keeps_sessions = request.node.callspec.params["gateway"] == "old-with-sessions"
    assert counts == ([1, 2, 1] if keeps_sessions else [1, 1, 1])


async def test_no_byte_of_a_token_reaches_the_upstream(
    serve_app: Callable[[Any], Awaitable[str]], start_gateway: Callable[..., Any]
) -> None:
    for kind in KINDS:
        watched = Watched(upstream_app(kind))
        url = await serve_app(watched)
        gateway = await start_gateway({"crm": {"url": f"{url}/mcp"}})
        await gateway.wait_until_listed("crm")
        token = gateway.token()
        extra = {"x-api-key": "key-of-the-client", "cookie": "session=secret-cookie", "baggage": "user=hong"}
        answer = await gateway.call("crm_echo", {"text": "hello"}, token=token, headers=extra)
        assert answer.text == "hello"
        assert b"hello" in watched.everything
        for secret in (token, token.split(".")[1], token.split(".")[2], *extra.values(), "u_tester"):
            assert secret.encode() not in watched.everything
        allowed = {
            "accept", "accept-encoding", "content-length", "content-type", "host", "mcp-method", "mcp-name",
            "mcp-protocol-version", "mcp-session-id", "traceparent",
        }  # fmt: skip
        assert {name for headers in watched.headers for name in headers} <= allowed


async def test_a_client_that_leaves_while_its_call_is_recorded_has_one_event(
    serve_app: Callable[[Any], Awaitable[str]], start_gateway: Callable[..., Awaitable[Any]], monkeypatch: Any
) -> None:
    url = await serve_app(customers().http_app(stateless_http=True))
    gateway = await start_gateway({"crm": {"url": f"{url}/mcp"}})
    await gateway.wait_until_listed("crm")
    record, is_written, may_return = gateway.journal.record, asyncio.Event(), asyncio.Event()

    async def record_slowly(event: Any) -> Any:
        receipt = await record(event)
        is_written.set()
        await may_return.wait()
        return receipt

    monkeypatch.setattr(gateway.journal, "record", record_slowly)
    call = asyncio.create_task(gateway.call("crm_echo", {"text": "a"}))
    await is_written.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    may_return.set()
    assert (await gateway.call("crm_echo", {"text": "b"})).text == "b"
    assert [event["outcome"] for event in gateway.events()] == ["success", "success"]
