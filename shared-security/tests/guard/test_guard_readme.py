"""The examples of the README, run unchanged except for the addresses."""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette

from local_stack.fences import read_fences
from local_stack.loopback_issuer import LoopbackIssuer
from security_common.tool_policy import configure

pytestmark = pytest.mark.anyio
README = Path(__file__).parents[2] / "README.md"
EXAMPLES = {
    tag: fence.text
    for fence in read_fences(README)
    if fence.language == "python"
    for tag in fence.tags
    if not tag.startswith("file:")
}


class Example:
    """The names that an example defines, and the URL of its application."""

    def __init__(self, names: dict[str, Any], url: str, issuer: LoopbackIssuer, http: httpx2.AsyncClient) -> None:
        self.names, self.url, self.issuer, self._http = names, url, issuer, http

    async def get(self, path: str, **claims: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.issuer.token(**claims)}"} if claims else {}
        return await self._http.get(self.url + path, headers=headers)

    async def post(self, path: str, body: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.issuer.token()}"}
        return await self._http.post(self.url + path, json=body, headers=headers)


@pytest.fixture
async def run(serve_at: Callable[[Any, socket.socket], Awaitable[str]]) -> AsyncIterator[Callable[..., Any]]:
    async with LoopbackIssuer(now=time.time) as issuer, httpx2.AsyncClient(verify=False) as http:

        async def run_example(tag: str, path: str = "") -> Example:
            listener = socket.create_server(("127.0.0.1", 0))
            url = f"http://localhost:{listener.getsockname()[1]}"
            issuer.audience = url + path
            text = EXAMPLES[tag].replace("http://localhost:8081", issuer.url).replace("http://localhost:9000", url)
            names: dict[str, Any] = {"__name__": tag}
            exec(compile(text, f"{README}#{tag}", "exec"), names)
            if "app" in names:
                await serve_at(names["app"], listener)
            else:
                listener.close()
            return Example(names, url, issuer, http)

        yield run_example


async def test_a_fastmcp_server(run, open_one):
    configure(journal=await open_one())
    example = await run("fastmcp", "/mcp")
    async with Client(f"{example.url}/mcp", auth=BearerAuth(example.issuer.token())) as client:
        assert {tool.name for tool in await client.list_tools()} == {"forecast", "report_storm"}
        assert (await client.call_tool("forecast", {"city": "Jeju"})).data == "Jeju: sunny"
        with pytest.raises(MCPError):
            await client.call_tool("report_storm", {"city": "Jeju"})
    storm = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "report_storm"}}
    refused = await example.post("/mcp", storm)
    assert refused.status_code == 403
    assert 'scope="mcp.access weather.write"' in refused.headers["www-authenticate"]
    allowed = example.issuer.token(scope="mcp.access weather.write")
    async with Client(f"{example.url}/mcp", auth=BearerAuth(allowed)) as client:
        assert (await client.call_tool("report_storm", {"city": "Jeju"})).data == "Jeju has been warned"
    assert (await example.get("/mcp")).status_code == 401
    configure()


async def test_a_fastapi_application(run):
    example = await run("fastapi", "/api")
    assert (await example.get("/api/orders")).status_code == 401
    assert (await example.get("/api/orders", scope="other")).status_code == 403
    assert (await example.get("/api/orders", scope="orders.read")).json() == {"orders_of": "u_tester"}
    assert (await example.get("/.well-known/oauth-protected-resource/api")).json()["resource"] == f"{example.url}/api"


async def test_one_starlette_route(run):
    example = await run("starlette", "/report")
    assert isinstance(example.names["app"], Starlette)
    assert (await example.get("/")).text == "public"
    refused = await example.get("/report")
    assert refused.status_code == 401
    metadata = refused.json()["resource_metadata"].removeprefix(example.url)
    assert (await example.get(metadata)).json()["scopes_supported"] == ["report.read"]
    assert (await example.get("/report", scope="report.read")).text == "a report, with a token only"


async def test_several_issuers(run):
    example = await run("issuers")
    assert not example.names["verifier"].ready
    await example.names["verifier"].stop()


def test_every_example_has_its_test():
    assert set(EXAMPLES) == {"fastmcp", "fastapi", "starlette", "issuers"}
