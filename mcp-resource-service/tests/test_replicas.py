"""Two replicas behind a load balancer behave as one service, also while one of them stops."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from local_stack.demo_scenario import ServicesApi
from local_stack.forms import sign_in
from local_stack.ports import free_ports
from local_stack.stack import AUTH, REDIS, Stack, StackPorts
from security_common.cli.setup import make_secrets


class Balancer:
    """A load balancer: round robin over the replicas that accept connections and are not excluded."""

    def __init__(self, port: int, replicas: list[int]) -> None:
        self._port = port
        self._replicas = replicas
        self._next_replicas = itertools.cycle(replicas)
        self.excluded: set[int] = set()

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for replica in itertools.islice(self._next_replicas, len(self._replicas)):
            if replica in self.excluded:
                continue
            with contextlib.suppress(ConnectionRefusedError):
                replica_reader, replica_writer = await asyncio.open_connection("127.0.0.1", replica)
                await asyncio.gather(_copy(reader, replica_writer), _copy(replica_reader, writer))
                return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


@pytest.fixture
def replicas(tmp_path) -> Iterator[tuple[ServicesApi, list[int], list[subprocess.Popen], Balancer]]:
    stack = Stack(StackPorts.ephemeral(), tmp_path)
    make_secrets(stack.secrets)
    ports, processes = free_ports(2), []
    try:
        stack.start_one(REDIS)
        stack.start_one(AUTH)
        for port in ports:
            settings = {**os.environ, **stack._mcp_settings(), "MCP_PORT": str(port), "MCP_DRAIN_SECONDS": "1"}
            command = [sys.executable, "-m", "mcp_resource_service.cli", "serve"]
            processes.append(subprocess.Popen(command, env=settings, stderr=subprocess.DEVNULL))
        stack.wait_until_ready(AUTH)
        for port in ports:
            wait_until_ready(port)
        # Without keep-alive each request is a new connection, which goes to the next replica.
        limits = httpx2.Limits(max_keepalive_connections=0)
        with start_blocking_portal() as portal, httpx2.Client(timeout=20, limits=limits) as http:
            balancer = Balancer(stack.ports.mcp, ports)
            server = portal.call(balancer.listen)
            yield ServicesApi(stack.auth_url, stack.mcp_url, http), ports, processes, balancer
            portal.call(server.close)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        stack.stop()


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"http://localhost:{port}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the replica is not ready")


def call(api: ServicesApi, tool: str, arguments: dict, scope: str = "mcp.access mcp.decrypt") -> dict:
    token = api.results.setdefault(scope, api.client.token(scope))
    response = api.post_mcp(token, "2026-07-28", "tools/call", {"name": tool, "arguments": arguments})
    assert response.status_code == 200, response.text
    return response.json()["result"]["structuredContent"]


def test_replicas_share_state_and_no_call_fails_while_one_stops(replicas):
    api, ports, (first, _), balancer = replicas
    for number in range(4):
        stored = call(api, "store_sensitive_data", {"data": f"text {number}"})
        assert call(api, "read_sensitive_data", {"record_id": stored["record_id"]})["data"] == f"text {number}"
    deadline = time.monotonic() + 60
    while len(call(api, "generate_security_report", {})["figures"]["journals"]) < 2:
        assert time.monotonic() < deadline

    first.terminate()
    # While it drains it still answers requests, and /readyz makes the load balancer exclude it.
    while httpx2.get(f"http://localhost:{ports[0]}/readyz").status_code == 200:
        assert time.monotonic() < deadline
    balancer.excluded.add(ports[0])
    while first.poll() is None:
        call(api, "get_server_status", {})
    for _ in range(4):
        call(api, "get_server_status", {})


def test_sign_in_and_sign_out_apply_to_both_replicas(replicas):
    api, ports, _, _ = replicas
    api.http.follow_redirects = True
    page = api.http.get(f"{api.mcp_url}/audit?language=en")
    page = sign_in(api.http, page, until=api.mcp_url, username="demo", password="demo")
    assert "Audit trail" in page.text
    api.http.follow_redirects = False

    def statuses() -> set[int]:
        return {api.http.get(f"http://localhost:{port}/audit").status_code for port in ports}

    assert statuses() == {200}
    api.http.post(f"{api.mcp_url}/audit/sign-out", headers={"Origin": api.mcp_url})
    assert statuses() == {303}
