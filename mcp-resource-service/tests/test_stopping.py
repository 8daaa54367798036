"""SIGTERM while requests are under way: the listener closes, and every one of them gets its answer."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import httpx2
import pytest

from local_stack.stack import AUTH, MCP, REDIS, Stack
from local_stack.story import World, mcp_request

pytestmark = pytest.mark.anyio

CALLS = 24
# The event stream of 2025-11-25, the JSON document of 2026-07-28, and its stream for who asks for progress.
FORMS = (("2025-11-25", False), ("2026-07-28", False), ("2026-07-28", True))
# sse-starlette looks twice a second whether the server is to stop; its way of stopping shows within this time.
LONGER_THAN_A_LOOK_SECONDS = 0.8


def call_of(token: str, version: str, *, wants_progress: bool) -> tuple[dict[str, str], bytes]:
    """A call of the tool that asks auth-service for a token."""
    headers, body = mcp_request(token, version, "tools/call", {"name": "create_test_token", "arguments": {}})
    if not wants_progress:
        return headers, body
    message = json.loads(body)
    message["params"].setdefault("_meta", {})["progressToken"] = "progress"
    return headers, json.dumps(message).encode()


async def test_every_tool_call_under_way_is_answered(own_stack: Stack) -> None:
    with httpx2.Client(timeout=20) as http:
        token = World(own_stack.auth_url, own_stack.mcp_url, http).token
    forms = [call_of(token, version, wants_progress=wants_progress) for version, wants_progress in FORMS]
    requests = [forms[0]] * CALLS + forms[1:] * (CALLS // 4)
    async with httpx2.AsyncClient(timeout=30) as http:
        async with stopping(own_stack, MCP, waits_for=AUTH, port=own_stack.ports.mcp) as under_way:
            calls = under_way(
                [http.post(own_stack.resource, headers=headers, content=body) for headers, body in requests]
            )
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200] * len(requests)
    assert all('"access_token' in answer.text.replace("\\", "") for answer in answers)


async def test_every_request_to_auth_service_under_way_is_answered(own_stack: Stack) -> None:
    with httpx2.Client(timeout=20) as http:
        token = World(own_stack.auth_url, own_stack.mcp_url, http).token
    url, client = f"{own_stack.auth_url}/oauth2/introspect", ("mcp-client", "secret")
    async with httpx2.AsyncClient(timeout=30) as http:
        async with stopping(own_stack, AUTH, waits_for=REDIS, port=own_stack.ports.auth) as under_way:
            calls = under_way([http.post(url, data={"token": token}, auth=client) for _ in range(CALLS)])
        answers = await asyncio.gather(*calls)
    assert [answer.json()["active"] for answer in answers] == [True] * CALLS


@asynccontextmanager
async def stopping(stack: Stack, name: str, *, waits_for: str, port: int) -> AsyncIterator[Callable]:
    """Suspends what the service waits for; the block begins the requests; then the service is told to stop, and what
    it waits for goes on when its listener is closed. Afterwards it must end by itself.
    """
    service, suspended = stack.children[name]._process, stack.children[waits_for].pid
    calls: list[asyncio.Task[httpx2.Response]] = []

    def under_way(requests: list[Coroutine]) -> list[asyncio.Task[httpx2.Response]]:
        calls.extend(map(asyncio.create_task, requests))
        return calls

    os.kill(suspended, signal.SIGSTOP)
    try:
        yield under_way
        await none_ends(calls, seconds=0.5)
        service.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until_refused, port)
        if name == MCP:
            await none_ends(calls, seconds=LONGER_THAN_A_LOOK_SECONDS)
    finally:
        os.kill(suspended, signal.SIGCONT)
    await asyncio.gather(*calls)
    assert await asyncio.to_thread(service.wait, 10) == -signal.SIGTERM


async def none_ends(calls: list[asyncio.Task[httpx2.Response]], *, seconds: float) -> None:
    ended, _ = await asyncio.wait(calls, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    assert not ended, [call.result().status_code for call in ended]


def wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("the listener stays open")
