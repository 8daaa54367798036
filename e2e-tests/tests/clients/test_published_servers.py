"""Published MCP servers behind the gateway, unchanged: as programs, behind the bridge, over HTTP and HTTP+SSE."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from security_common.cli.setup import make_secrets

pytestmark = [pytest.mark.clients, pytest.mark.anyio]

COMMAND = str(Path(sys.executable).with_name("gateway-service"))
PACKAGES = Path(__file__).resolve().parents[2] / "clients/node_modules/@modelcontextprotocol"
EVERYTHING = str(PACKAGES / "server-everything/dist/index.js")
FILESYSTEM = str(PACKAGES / "server-filesystem/dist/index.js")
PHONE = "010-1234-5678"

StartProcess = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def issuer() -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(now=time.time) as running:
        yield running


@pytest.fixture
def variables(tmp_path: Path, issuer: LoopbackIssuer) -> dict[str, str]:
    """The settings of a gateway."""
    make_secrets(tmp_path / "secrets")
    (port,) = free_ports(1)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GATEWAY_UPSTREAMS": str(tmp_path / "mcp.json"),
        "GATEWAY_RESOURCE": f"http://localhost:{port}/mcp",
        "GATEWAY_PORT": str(port),
        "GATEWAY_ISSUER": issuer.url,
        "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        "SECURITY_AUDIT_CHAIN_KEY_FILE": str(tmp_path / "secrets/mcp/audit_chain_key"),
    }


@pytest.fixture
def start_process() -> Any:
    """Starts processes that are ended after the test."""
    with ExitStack() as stack:

        def start(*command: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(command, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        yield start


class RunningGateway:
    """A gateway with the servers of one mcpServers file."""

    def __init__(self, variables: Mapping[str, str], token: str) -> None:
        self._variables = variables
        self._token = token

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a call with the command `gateway-service call`."""
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "call", tool, json.dumps(arguments)),
            env=dict(self._variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate(self._token.encode())
        assert out, err
        return json.loads(out)

    async def text(self, tool: str, **arguments: Any) -> str:
        return (await self.call(tool, **arguments))["content"][0]["text"]


@pytest.fixture
def start_gateway(
    tmp_path: Path, variables: dict[str, str], issuer: LoopbackIssuer, start_process: StartProcess
) -> Callable[..., Any]:
    async def start(**servers: Any) -> RunningGateway:
        (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
        start_process(COMMAND, "serve", env=variables)
        resource = variables["GATEWAY_RESOURCE"]
        await wait_for(
            resource.replace("/mcp", "/readyz"),
            lambda checks: all(checks[f"upstream:{name}"]["ok"] for name in servers),
        )
        return RunningGateway(variables, issuer.token(aud=resource))

    return start


async def wait_for(url: str, is_ready: Callable[[Any], bool] | None = None) -> None:
    """Waits for a minute at most until the URL answers, and its checks are as expected."""
    async with asyncio.timeout(60), httpx2.AsyncClient() as http:
        while True:
            try:
                response = await http.get(url)
                if is_ready is None or is_ready(response.json()["checks"]):
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
async def everything(request: pytest.FixtureRequest, node: Path, start_process: StartProcess) -> dict[str, Any]:
    """The entry of server-everything for one kind of transport."""
    (port,) = free_ports(1)
    env = {"PATH": os.environ["PATH"], "PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    match request.param:
        case "http":
            start_process(str(node), EVERYTHING, "streamableHttp", env=env)
            entry: dict[str, Any] = {"url": f"{url}/mcp"}
        case "sse":
            start_process(str(node), EVERYTHING, "sse", env=env)
            entry = {"type": "sse", "url": f"{url}/sse"}
        case "bridge":
            start_process(COMMAND, "bridge", "--port", str(port), "--", str(node), EVERYTHING, "stdio", env=env)
            entry = {"url": f"{url}/mcp"}
        case _:
            return {"command": str(node), "args": [EVERYTHING, "stdio"]}
    await wait_for(f"{url}/")
    return entry


@pytest.mark.parametrize("everything", ["stdio", "bridge", "http", "sse"], indirect=True)
async def test_server_everything_is_called_through_the_gateway(
    everything: dict[str, Any], start_gateway: Callable[..., Any]
) -> None:
    gateway = await start_gateway(demo=everything)
    assert await gateway.text("demo_echo", message=f"call {PHONE}") == f"Echo: call {PHONE}"
    assert "completed" in await gateway.text("demo_trigger-long-running-operation", duration=1, steps=2)
    structured = await gateway.call("demo_get-structured-content", location="New York")
    assert structured["structuredContent"]


async def test_server_filesystem_reads_its_folder_and_nothing_else(
    node: Path, start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "note.txt").write_text("a note")
    gateway = await start_gateway(files={"command": str(node), "args": [FILESYSTEM, str(folder)]})
    assert await gateway.text("files_read_text_file", path=str(folder / "note.txt")) == "a note"
    refused = await gateway.call("files_read_text_file", path="/etc/passwd")
    assert refused["isError"] is True
