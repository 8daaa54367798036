"""SIGTERM while requests are in progress: the listener closes, and every request is answered."""

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

from local_stack.demo_scenario import ServicesApi, mcp_request
from local_stack.stack import AUTH, MCP, REDIS, Stack

pytestmark = pytest.mark.anyio

CALLS = 24
# Protocol version and progress: the stream of 2025-11-25, and the JSON and stream forms of 2026-07-28.
FORMS = (("2025-11-25", False), ("2026-07-28", False), ("2026-07-28", True))
# sse-starlette checks twice a second whether the server is stopping. A stream that it ends fails within this time.
SSE_CHECK_SECONDS = 0.8


def make_call(token: str, version: str, *, wants_progress: bool) -> tuple[dict[str, str], bytes]:
    """Returns headers and body of a call of create_test_token, which requests a token from auth-service."""
    headers, body = mcp_request(token, version, "tools/call", {"name": "create_test_token", "arguments": {}})
    if not wants_progress:
        return headers, body
    message = json.loads(body)
    message["params"].setdefault("_meta", {})["progressToken"] = "progress"
    return headers, json.dumps(message).encode()


async def test_every_tool_call_in_progress_is_answered(own_stack: Stack) -> None:
    with httpx2.Client(timeout=20) as http:
        token = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http).token
    forms = [make_call(token, version, wants_progress=wants_progress) for version, wants_progress in FORMS]
    requests = [forms[0]] * CALLS + forms[1:] * (CALLS // 4)
    async with httpx2.AsyncClient(timeout=30) as http:
        async with stopping(own_stack, MCP, waits_for=AUTH, port=own_stack.ports.mcp) as start:
            calls = start([http.post(own_stack.resource, headers=headers, content=body) for headers, body in requests])
        responses = await asyncio.gather(*calls)
    assert [response.status_code for response in responses] == [200] * len(requests)
    assert all('"access_token' in response.text.replace("\\", "") for response in responses)


async def test_every_request_to_auth_service_in_progress_is_answered(own_stack: Stack) -> None:
    with httpx2.Client(timeout=20) as http:
        token = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http).token
    url, client = f"{own_stack.auth_url}/oauth2/introspect", ("mcp-client", "secret")
    async with httpx2.AsyncClient(timeout=30) as http:
        async with stopping(own_stack, AUTH, waits_for=REDIS, port=own_stack.ports.auth) as start:
            calls = start([http.post(url, data={"token": token}, auth=client) for _ in range(CALLS)])
        responses = await asyncio.gather(*calls)
    assert [response.json()["active"] for response in responses] == [True] * CALLS


@asynccontextmanager
async def stopping(stack: Stack, name: str, *, waits_for: str, port: int) -> AsyncIterator[Callable]:
    """Suspends the process that the service waits for, and stops the service after the block has started requests.

    The suspended process continues when the listener of the service is closed. The service then has to exit.
    """
    service, suspended = stack.children[name]._process, stack.children[waits_for].pid
    calls: list[asyncio.Task[httpx2.Response]] = []

    def start(requests: list[Coroutine]) -> list[asyncio.Task[httpx2.Response]]:
        calls.extend(map(asyncio.create_task, requests))
        return calls

    os.kill(suspended, signal.SIGSTOP)
    try:
        yield start
        await require_none_ended(calls, seconds=0.5)
        service.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until_refused, port)
        if name == MCP:
            await require_none_ended(calls, seconds=SSE_CHECK_SECONDS)
    finally:
        os.kill(suspended, signal.SIGCONT)
    await asyncio.gather(*calls)
    assert await asyncio.to_thread(service.wait, 60) == -signal.SIGTERM


async def require_none_ended(calls: list[asyncio.Task[httpx2.Response]], *, seconds: float) -> None:
    ended, _ = await asyncio.wait(calls, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    assert not ended, [call.result().status_code for call in ended]


def wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("the listener stays open")
