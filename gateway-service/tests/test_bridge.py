"""`gateway-service bridge`: one program over Streamable HTTP, as a process, with and without a gateway in front."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateway_processes import Shell
from program_upstreams import ERAS, PROGRAM, is_running, pid_of, pids_of, wait_until_ended

from local_stack.ports import free_ports

pytestmark = pytest.mark.anyio

VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
TOKEN = "t0ken-of-the-bridge"


@dataclass
class Bridge:
    url: str
    process: Process
    http: httpx2.AsyncClient

    async def post(self, message: Any, **headers: str) -> httpx2.Response:
        return await self.http.post(
            f"{self.url}/mcp",
            content=json.dumps(message),
            headers={"accept": "application/json, text/event-stream", **headers},
        )

    async def call(self, tool: str, meta: dict[str, Any] | None = None, **arguments: Any) -> httpx2.Response:
        """A tool call of 2026-07-28."""
        own = {f"{META}protocolVersion": VERSION, f"{META}clientCapabilities": {}, **(meta or {})}
        params = {"name": tool, "arguments": arguments, "_meta": own}
        headers = {"mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": tool}
        return await self.post({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": params}, **headers)

    async def begin(self) -> str:
        """The id of a new session of 2025-11-25."""
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        response = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        assert response.json()["result"]["protocolVersion"] == "2025-11-25"
        session_id = response.headers["mcp-session-id"]
        accepted = await self.post(
            {"jsonrpc": "2.0", "method": "notifications/initialized"}, **{"mcp-session-id": session_id}
        )
        assert accepted.status_code == 202
        return session_id

    async def call_in(self, session_id: str, tool: str, **arguments: Any) -> httpx2.Response:
        """A tool call in a session."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
        headers = {"mcp-session-id": session_id, "mcp-protocol-version": "2025-11-25"}
        return await self.post(message, **headers)


def text_of(response: httpx2.Response) -> str:
    return response.json()["result"]["content"][0]["text"]


StartBridge = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def start_bridge(tmp_path: Path) -> AsyncIterator[StartBridge]:
    shell = Shell({"SECURITY_AUDIT_DIR": str(tmp_path)})
    async with httpx2.AsyncClient(timeout=20, verify=False) as http:

        async def start(*options: str, era: str = "stateless") -> Bridge:
            (port,) = free_ports(1)
            process = await shell.start(
                "bridge", "--port", str(port), *options, "--", sys.executable, PROGRAM, "--era", era
            )
            url = f"http://127.0.0.1:{port}"
            while process.returncode is None:
                try:
                    await http.get(f"{url}/livez")
                except httpx2.HTTPError:
                    await asyncio.sleep(0.05)
                else:
                    return Bridge(url, process, http)
            raise AssertionError((await process.communicate())[1])

        yield start
        await shell.stop_all()


@pytest.mark.parametrize("era", ERAS)
async def test_a_gateway_reaches_a_program_by_url(
    start_bridge: StartBridge, start_gateway: Callable[..., Awaitable[Any]], tmp_path: Path, era: str
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    bridge = await start_bridge("--token-file", str(tmp_path / "token"), era=era)
    entry = {"url": f"{bridge.url}/mcp", "type": "bridge", "credential": {"secret_file": "token"}, "timeout": "2s"}
    gateway = await start_gateway({"crm": entry})
    await gateway.wait_until_listed("crm")
    answers = [await gateway.call("crm_count", token=gateway.token(sub=sub)) for sub in ("u_1", "u_2", "u_1")]
    processes = [answer.text.split()[-1] for answer in answers]
    assert processes[0] == processes[2] != processes[1]
    assert (await gateway.call("crm_slow", {"seconds": 600})).text.startswith("upstream_timeout")
    assert (await gateway.call("crm_slow")).text == "cancelled: 1"
    assert (await gateway.call("crm_crash")).text.startswith("upstream_unavailable")
    assert (await gateway.call("crm_echo", {"text": "again"})).text == "again"


async def test_a_session_has_an_instance_that_ends_with_it(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(era="handshake")
    first, second = await bridge.begin(), await bridge.begin()
    pids = [pid_of(text_of(await bridge.call_in(each, "count")).split()[-1]) for each in (first, second)]
    assert len(set(pids)) == 2
    assert (await bridge.http.delete(f"{bridge.url}/mcp", headers={"mcp-session-id": first})).status_code == 200
    await wait_until_ended(pids[:1])
    assert is_running(pids[1])
    assert (await bridge.call_in(first, "echo")).status_code == 404
    assert (await bridge.call_in("unknown", "echo")).status_code == 404
    assert (await bridge.call_in("", "echo")).status_code == 400
    os.kill(pids[1], signal.SIGKILL)
    await wait_until_ended(pids)
    while True:
        if (await bridge.call_in(second, "echo")).status_code == 404:
            return
        await asyncio.sleep(0.05)


async def test_a_session_id_is_not_that_of_a_caller(start_bridge: StartBridge) -> None:
    """An instance for requests of 2026-07-28 cannot be reached with a session."""
    bridge = await start_bridge()
    assert text_of(await bridge.call("echo", text="a")) == "a"
    assert (await bridge.call_in("caller:", "echo")).status_code == 404


@pytest.mark.parametrize("request_id", [{"a": 1}, [1], None, 1.5])
async def test_a_cancellation_of_what_cannot_be_an_id_is_ignored(start_bridge: StartBridge, request_id: Any) -> None:
    bridge = await start_bridge()
    params = {"requestId": request_id}
    cancelled = await bridge.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    assert cancelled.status_code == 202


async def test_progress_has_the_token_of_the_client(start_bridge: StartBridge) -> None:
    bridge = await start_bridge()
    response = await bridge.call("progress", {"progressToken": "mine"}, steps=2)
    assert response.headers["content-type"] == "text/event-stream"
    messages = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
    assert [message["params"]["progressToken"] for message in messages[:2]] == ["mine", "mine"]
    assert messages[2]["id"] == "x"
    assert text_of(await bridge.call("echo", text="1.10")) == "1.10"


async def test_a_request_is_cancelled_by_its_client(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(era="handshake")
    session_id = await bridge.begin()
    slow = asyncio.create_task(bridge.call_in(session_id, "slow", seconds=600))
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    while not slow.done():
        assert (await bridge.post(cancel, **{"mcp-session-id": session_id})).status_code == 202
        await asyncio.sleep(0.05)
    assert slow.result().status_code == 202
    assert text_of(await bridge.call_in(session_id, "slow")) == "cancelled: 1"


async def test_a_notification_without_a_session_cancels_no_request(start_bridge: StartBridge, tmp_path: Path) -> None:
    bridge, begun = await start_bridge(), tmp_path / "begun"
    slow = asyncio.create_task(bridge.call("slow", seconds=2, note=str(begun)))
    while not begun.exists():
        assert not slow.done()
        await asyncio.sleep(0.01)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x"}}
    assert (await bridge.post(cancel)).status_code == 202
    assert text_of(await slow) == "cancelled: 0"


async def test_web_pages_and_clients_without_the_token_are_refused(start_bridge: StartBridge, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    bridge = await start_bridge("--token-file", str(tmp_path / "token"))
    good = {"authorization": f"Bearer {TOKEN}"}
    refused: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"authorization": "Bearer other"}, 401),
        ({**good, "host": "rebound.example"}, 403),
        ({**good, "origin": bridge.url}, 403),
        (good, 400),
    ]
    for headers, status in refused:
        assert (await bridge.http.post(f"{bridge.url}/mcp", content="{}", headers=headers)).status_code == status
    assert (await bridge.http.get(f"{bridge.url}/mcp", headers=good)).status_code == 405
    assert (await bridge.http.post(f"{bridge.url}/other", headers=good)).status_code == 404


async def test_a_large_body_is_refused_before_it_was_sent(start_bridge: StartBridge) -> None:
    bridge = await start_bridge()
    host, port = bridge.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 17000000\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[]",
        b'{"jsonrpc": "2.0", "id": null, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": true, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1}',
    ],
)
async def test_a_message_that_is_not_one_is_refused(start_bridge: StartBridge, body: bytes) -> None:
    bridge = await start_bridge()
    response = await bridge.http.post(f"{bridge.url}/mcp", content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32600)


async def test_a_program_that_breaks_the_protocol_is_a_502(start_bridge: StartBridge) -> None:
    bridge = await start_bridge()
    refused = await bridge.call("not_json")
    assert refused.status_code == 502
    assert "words of the program" not in refused.text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_is_left_when_the_bridge_is_killed(start_bridge: StartBridge, number: signal.Signals) -> None:
    bridge = await start_bridge()
    pids = pids_of(text_of(await bridge.call("processes")))
    bridge.process.send_signal(number)
    await bridge.process.wait()
    await wait_until_ended(pids)


async def test_a_program_gets_the_named_variables_only(start_bridge: StartBridge) -> None:
    bridge = await start_bridge("--env", "SECURITY_AUDIT_DIR")
    variables = json.loads(text_of(await bridge.call("environment")))["variables"]
    assert "SECURITY_AUDIT_DIR" in variables
    assert set(variables) <= {
        "PATH",
        "LANG",
        "HOME",
        "TMPDIR",
        "SECURITY_AUDIT_DIR",
        "LC_CTYPE",
        "PWD",
    }  # a sandbox sets PWD


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--env", "NO_SUCH_VARIABLE", "--", "cat"], "the variable NO_SUCH_VARIABLE is not set"),
        ([], "there is no program to run"),
        (["--host", "192.0.2.1", "--", "cat"], "cannot listen at 192.0.2.1:8090"),
    ],
)
async def test_an_option_that_cannot_be_used_is_an_error_with_a_hint(
    tmp_path: Path, arguments: list[str], problem: str
) -> None:
    failed = await Shell({"SECURITY_AUDIT_DIR": str(tmp_path)}).run("bridge", *arguments)
    assert failed.status == 1
    assert problem in failed.err
    assert "hint: " in failed.err


async def test_a_connection_is_open_longer_than_clients_keep_it(start_bridge: StartBridge) -> None:
    """A client that uses an idle connection in the moment in which it is closed would get a reset."""
    bridge = await start_bridge()
    host, port = bridge.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for pause_seconds in (6.0, 0.0):  # httpx keeps idle connections for 5 seconds
        writer.write(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        await asyncio.sleep(pause_seconds)
    writer.close()
    await writer.wait_closed()
