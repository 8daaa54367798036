"""Every tool works over plain HTTP in both protocol versions, and with an MCP client."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from local_stack.demo_scenario import PERSON, ServicesApi

pytestmark = pytest.mark.any_stack

SCOPE = "mcp.access mcp.decrypt"
Result = dict[str, Any]

# tool → its arguments, and the expected content of its result
CALLS: dict[str, tuple[Result, Callable[[Result], object]]] = {
    "get_server_status": ({}, lambda said: said["status"] == "ready"),
    "create_test_token": ({}, lambda said: said["access_token"].count(".") == 2),
    "get_user_info": ({"person_id": "p_hong"}, lambda said: said["email"] == "h***@example.com"),
    "send_message": (
        {"to": "010-1234-5678", "text": "Good morning"},
        lambda said: said["to"].startswith("[PHONE_") and said["text"] == "Good morning",
    ),
    "store_sensitive_data": ({"data": PERSON}, lambda said: said["encrypted"] is True),
    "read_sensitive_data": ({}, lambda said: said["data"] == PERSON),
    "high_security_operation": ({"operation_data": "rotate keys"}, lambda said: said["status"] == "accepted"),
    "test_pii_detection": ({"text": PERSON}, lambda said: "010-****-5678" in said["masked_text"]),
    "test_encryption": ({"text": PERSON}, lambda said: said["round_trip"] is True),
    "get_security_audit_log": ({"limit": 1}, lambda said: len(said["events"]) == 1),
    "generate_security_report": ({}, lambda said: said["figures"]["by_tool"]["store_sensitive_data"] > 0),
    "simulate_data_breach_detection": ({}, lambda said: said["played"][0]["detected"]),
}


def by_http(version: str) -> Callable[[ServicesApi, str, str, Result], Result]:
    def call(api: ServicesApi, token: str, tool: str, arguments: Result) -> Result:
        answer = api.post_mcp(token, version, "tools/call", {"name": tool, "arguments": arguments})
        assert answer.status_code == 200, answer.text
        streams = answer.headers["content-type"].startswith("text/event-stream")
        messages = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        return json.loads(messages[-1] if streams else answer.text)["result"]["structuredContent"]

    return call


def by_client(api: ServicesApi, token: str, tool: str, arguments: Result) -> Result:
    async def call() -> Result:
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=token)) as session:
            return (await session.call_tool(tool, arguments)).structured_content or {}

    return asyncio.run(call())


WAYS = {"2026-07-28": by_http("2026-07-28"), "2025-11-25": by_http("2025-11-25"), "FastMCP client": by_client}


@pytest.fixture(scope="module")
def token(api: ServicesApi) -> str:
    return api.client.token(SCOPE)


@pytest.fixture(scope="module")
def record_id(api: ServicesApi) -> str:
    """The id of a stored record, once its event is in the stream: events are shipped shortly after the response."""
    stored = api.call("store_sensitive_data", {"data": PERSON})["record_id"]
    deadline = time.monotonic() + 60
    while not api.call("get_security_audit_log", {"tool_name": "store_sensitive_data"})["events"]:
        assert time.monotonic() < deadline
    return stored


def test_the_table_has_every_tool(api: ServicesApi) -> None:
    assert set(api.list_tools()) == set(CALLS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tool", CALLS)
def test_tool_returns_the_expected_result(api: ServicesApi, token: str, record_id: str, tool: str, way: str) -> None:
    arguments, holds = CALLS[tool]
    if tool == "read_sensitive_data":
        arguments = {"record_id": record_id}
    said = WAYS[way](api, token, tool, arguments)
    assert holds(said), said
