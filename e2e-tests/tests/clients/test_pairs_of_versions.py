"""Every pair of protocol versions through one gateway: SDKs in front, a published server and servers with SDKs behind.

    client, 2025-11-25 or 2026-07-28 ──▶ gateway ──▶ HTTP, HTTP+SSE or program, of either kind of versions

The rules mask personal data, so that each pair also shows that the policy was applied.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from fastmcp import Client as FastMCPClient
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports

pytestmark = [pytest.mark.clients, pytest.mark.anyio]

OLD, NEW = "2025-11-25", "2026-07-28"
APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
COMMAND = str(Path(sys.executable).with_name("gateway-service"))
PYTHON_OF_SDK_1 = str(Path(sys.prefix) / "mcp1/bin/python")
EVERYTHING = str(APPLICATIONS / "node_modules/@modelcontextprotocol/server-everything/dist/index.js")
TYPESCRIPT = str(APPLICATIONS / "typescript_server.mjs")
MCP1_CLIENT = str(Path(__file__).with_name("mcp1_client.py"))
FASTMCP = str(Path(__file__).with_name("fastmcp_server.py"))

# The version that the gateway speaks with each upstream, and its tool with structured content.
UPSTREAMS = {
    "everything-stdio": (OLD, "get-structured-content"),
    "everything-http": (OLD, "get-structured-content"),
    "everything-sse": (OLD, "get-structured-content"),
    "fastmcp-http": (NEW, "weather"),
    "fastmcp-stdio": (NEW, "weather"),
    "typescript-http": (NEW, "weather"),
    "typescript-stdio": (NEW, "weather"),
}
# The version that each client speaks with the gateway.
CLIENTS = {
    "mcp 1": OLD,
    "mcp 2, older version": OLD,
    "mcp 2": NEW,
    "FastMCP": NEW,
    "TypeScript SDK 1": OLD,
    "TypeScript SDK 2, older version": OLD,
    "TypeScript SDK 2": NEW,
}
GIVEN, MASKED = "call 010-1234-5678", "call 010-****-5678"
PLACE = "New York"

Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Report:
    """What a client has seen: the version that it agreed with the gateway, the tools, and the results of its calls."""

    version: str
    tools: list[str]
    results: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class RunningGateway:
    """The gateway in front of all upstreams, with a token for it, its settings, and Node for clients."""

    url: str
    token: str
    variables: dict[str, str]
    node: Path

    @property
    def calls(self) -> Calls:
        calls: Calls = []
        for name, (_, structured) in UPSTREAMS.items():
            calls += [(f"{name}_echo", {"message": GIVEN}), (f"{name}_{structured}", {"location": PLACE})]
        return calls

    async def run(self, *command: str, **given: Any) -> Report:
        """The report of a client that is a program."""
        members = json.dumps({"url": self.url, "token": self.token, "calls": self.calls, **given})
        return Report(**json.loads(await output_of(*command, members)))

    async def run_fastmcp(self) -> Report:
        headers = {"authorization": f"Bearer {self.token}"}
        async with FastMCPClient(StreamableHttpTransport(self.url, headers=headers)) as client:
            return await self._report(client.session.protocol_version, client)

    async def run_sdk(self, mode: str) -> Report:
        async with create_mcp_http_client(headers={"authorization": f"Bearer {self.token}"}) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with SdkClient(transport, mode=mode) as client:
                return await self._report(client.protocol_version, client)

    async def _report(self, version: str, client: Any) -> Report:
        listed = await client.list_tools()
        tools = [tool.name for tool in getattr(listed, "tools", listed)]
        results: dict[str, dict[str, Any]] = {}
        for name, arguments in self.calls:
            result = await client.session.call_tool(name, arguments)
            results[name] = result.model_dump(by_alias=True, mode="json")
        return Report(version, tools, results)


async def output_of(*command: str, env: dict[str, str] | None = None) -> str:
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    return out.decode()


def start_servers(stack: AsyncExitStack, node: Path) -> dict[str, dict[str, Any]]:
    """Starts the servers behind a URL. Returns the entries of all upstreams in gateway.yaml."""
    everything, sse, fastmcp, typescript = free_ports(4)
    commands: list[tuple[int, list[str]]] = [
        (everything, [str(node), EVERYTHING, "streamableHttp"]),
        (sse, [str(node), EVERYTHING, "sse"]),
        (fastmcp, [sys.executable, FASTMCP, str(fastmcp)]),
        (typescript, [str(node), TYPESCRIPT, str(typescript)]),
    ]
    for port, command in commands:
        start(stack, command, {"PATH": os.environ["PATH"], "PORT": str(port)})
    return {
        "everything-stdio": {"command": str(node), "args": [EVERYTHING, "stdio"]},
        "everything-http": {"url": f"http://127.0.0.1:{everything}/mcp"},
        "everything-sse": {"url": f"http://127.0.0.1:{sse}/sse", "type": "sse"},
        "fastmcp-http": {"url": f"http://127.0.0.1:{fastmcp}/mcp"},
        "fastmcp-stdio": {"command": sys.executable, "args": [FASTMCP, "stdio"]},
        "typescript-http": {"url": f"http://127.0.0.1:{typescript}/mcp"},
        "typescript-stdio": {"command": str(node), "args": [TYPESCRIPT, "stdio"]},
    }


def start(stack: AsyncExitStack, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a process that is ended with the stack."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


@pytest.fixture(scope="module")
async def gateway(node: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    (port,) = free_ports(1)
    url = f"http://localhost:{port}/mcp"
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(LoopbackIssuer(url, now=time.time))
        upstreams = start_servers(stack, node)
        rules = {"policy": "mask", "tools": {"*": {}}}
        file = folder / "gateway.yaml"
        file.write_text(yaml.safe_dump({"upstreams": {name: {**each, **rules} for name, each in upstreams.items()}}))
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GATEWAY_UPSTREAMS": str(file),
            "GATEWAY_RESOURCE": url,
            "GATEWAY_PORT": str(port),
            "GATEWAY_ISSUER": issuer.url,
            "SECURITY_AUDIT_DIR": str(folder / "audit"),
        }
        process = start(stack, [COMMAND, "serve"], variables)
        await wait_until_listed(url.replace("/mcp", "/readyz"), process)
        token = issuer.token(aud=url, exp=int(time.time()) + 3600)
        yield RunningGateway(url, token, variables, node)


async def wait_until_listed(url: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until the gateway has the tools of every upstream."""
    async with httpx2.AsyncClient() as http:
        while True:
            assert process.poll() is None
            try:
                checks = (await http.get(url)).json()["checks"]
                if all(checks[f"upstream:{name}"]["ok"] for name in UPSTREAMS):
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
async def reports(gateway: RunningGateway) -> dict[str, Report]:
    """The report of each client."""
    node, sdk1, sdk2 = str(gateway.node), str(APPLICATIONS / "sdk1_client.mjs"), str(APPLICATIONS / "sdk2_client.mjs")
    runs: dict[str, Callable[[], Any]] = {
        "mcp 1": lambda: gateway.run(PYTHON_OF_SDK_1, MCP1_CLIENT),
        "mcp 2, older version": lambda: gateway.run_sdk("legacy"),
        "mcp 2": lambda: gateway.run_sdk("auto"),
        "FastMCP": gateway.run_fastmcp,
        "TypeScript SDK 1": lambda: gateway.run(node, sdk1),
        "TypeScript SDK 2, older version": lambda: gateway.run(node, sdk2, mode="legacy"),
        "TypeScript SDK 2": lambda: gateway.run(node, sdk2, mode="auto"),
    }
    return {name: await run() for name, run in runs.items()}


async def test_the_gateway_speaks_the_newest_version_of_each_upstream(gateway: RunningGateway) -> None:
    listed = json.loads(await output_of(COMMAND, "tools", "--json", env=gateway.variables))
    versions = {each["upstream"]: each["protocol_version"] for each in listed}
    # The gateway speaks the older version with a program that takes longer to start than it waits for an answer, which
    # the import of FastMCP may on a slow machine.
    assert versions.pop("fastmcp-stdio") in {OLD, NEW}
    assert versions == {name: version for name, (version, _) in UPSTREAMS.items() if name != "fastmcp-stdio"}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_speaks_its_newest_version(reports: dict[str, Report], client: str) -> None:
    assert reports[client].version == CLIENTS[client]
    assert len(reports[client].tools) == len(set(reports[client].tools))


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_calls_the_tools_of_an_upstream(reports: dict[str, Report], client: str, upstream: str) -> None:
    report = reports[client]
    structured = f"{upstream}_{UPSTREAMS[upstream][1]}"
    assert {f"{upstream}_echo", structured} <= set(report.tools)
    echo = report.results[f"{upstream}_echo"]
    assert (echo["content"][0]["text"], echo.get("isError", False)) == (f"Echo: {MASKED}", False)
    assert isinstance(report.results[structured]["structuredContent"]["temperature"], int | float)
