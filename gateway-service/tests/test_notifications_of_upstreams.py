"""What a server reports while a request runs: progress and log messages of that request, and changed lists."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from upstream_servers import STREAM_HEAD, TEXT_RESULT, RawUpstream, event

from gateway_service.declaration import ToolRule, UpstreamDeclaration
from gateway_service.upstreams import HttpConnections, Notification, Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamProtocolViolation
from gateway_service.upstreams.received_messages import NotificationRate
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
CALL = {"name": "act", "arguments": {}}


def progress(token: Any, done: float) -> dict[str, Any]:
    params = {"progressToken": token, "progress": done}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


async def report(request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answers a call after some notifications, of which only some belong to it."""
    token = request["params"]["_meta"].get("progressToken")
    messages: list[Mapping[str, Any]] = [
        progress(token, 1),
        progress("another", 2),
        progress(True, 3),
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "half"}},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
        {"jsonrpc": "2.0", "method": "notifications/unknown", "params": {}},
        progress(token, 4),
        {"jsonrpc": "2.0", "id": request["id"], "result": TEXT_RESULT},
    ]
    writer.write(STREAM_HEAD + b"".join(map(event, messages)))
    await writer.drain()
    writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with RawUpstream(report) as server, HttpConnections() as connections:
        running = Upstream(UpstreamDeclaration(name="crm", url=server.url, default_rule=RULE), connections)
        yield running
        await running.close()


async def test_progress_and_log_messages_of_a_request_reach_its_handler_in_order(upstream: Upstream) -> None:
    received: list[Notification] = []

    async def keep(notification: Notification) -> None:
        received.append(notification)

    result = await upstream.call(UpstreamCall(method="tools/call", params=CALL, on_notification=keep))
    assert result == TEXT_RESULT
    assert received == [
        Notification("notifications/progress", {"progress": 1}),
        Notification("notifications/message", {"level": "info", "data": "half"}),
        Notification("notifications/progress", {"progress": 4}),
    ]


async def test_a_changed_list_is_reported_whether_or_not_somebody_reads_the_progress(upstream: Upstream) -> None:
    changed: list[str] = []
    upstream.watch_list_changes(changed.append)
    await upstream.call(UpstreamCall(method="tools/call", params=CALL))
    assert changed == ["notifications/tools/list_changed"]


async def test_a_handler_that_fails_ends_the_call(upstream: Upstream) -> None:
    async def fail(_: Notification) -> None:
        raise RuntimeError("the client is gone")

    with pytest.raises(RuntimeError):
        await upstream.call(UpstreamCall(method="tools/call", params=CALL, on_notification=fail))


def test_one_hundred_notifications_per_second_are_allowed() -> None:
    now = 50.0
    rate = NotificationRate("crm", clock=lambda: now)
    for _ in range(5):
        for _ in range(100):
            rate.count()
        now += 1
    now += 3600  # of which ten seconds count
    for _ in range(1000):
        rate.count()
    with pytest.raises(UpstreamProtocolViolation):
        rate.count()
