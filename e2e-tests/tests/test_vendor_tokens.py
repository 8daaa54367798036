"""The tokens of known vendors, sent to a running resource service that trusts an issuer of each vendor."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import StackPorts
from local_stack.stack import MCP, REDIS, Stack
from local_stack.vendor_tokens import VENDOR_TOKENS, VendorToken

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class ProtectedService:
    """The service, and the issuers that it trusts by vendor."""

    stack: Stack
    issuers: dict[str, LoopbackIssuer]
    http: httpx2.AsyncClient

    async def call(self, token: str, tool: str, **arguments: object) -> dict[str, Any]:
        """The structured result of a tool."""
        async with Client(StreamableHttpTransport(f"{self.stack.mcp_url}/mcp", auth=token)) as session:
            return (await session.call_tool(tool, arguments)).structured_content or {}

    async def hello(self, token: str) -> httpx2.Response:
        return await self.http.get(f"{self.stack.mcp_url}/hello", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProtectedService]:
    stack = Stack(StackPorts.ephemeral(), tmp_path_factory.mktemp("vendors"), demo=False)
    async with AsyncExitStack() as running:
        own = await running.enter_async_context(LoopbackIssuer(stack.resource, now=time.time))
        http = await running.enter_async_context(httpx2.AsyncClient(timeout=20))
        issuers: dict[str, LoopbackIssuer] = {}
        entries: dict[str, object] = {}
        for token in VENDOR_TOKENS:
            if token.vendor not in issuers:
                issuer = LoopbackIssuer(path=token.path, now=time.time)
                issuers[token.vendor] = await running.enter_async_context(issuer)
                entries[token.vendor] = token.entry_for(issuer)
        declaration = tmp_path_factory.mktemp("declaration") / "issuers.yaml"
        declaration.write_text(json.dumps(list(entries.values())), encoding="utf-8")  # JSON is YAML
        stack.overrides = {"MCP_ISSUER": own.url, "MCP_TRUSTED_ISSUERS": str(declaration)}
        running.callback(stack.stop)
        stack.start(REDIS)
        stack.start_one(MCP)
        await anyio.to_thread.run_sync(stack.wait_until_ready, MCP)
        yield ProtectedService(stack, issuers, http)


@pytest.mark.parametrize("token", VENDOR_TOKENS, ids=lambda token: token.id)
async def test_a_vendors_token_is_accepted_or_refused_as_listed(service: ProtectedService, token: VendorToken) -> None:
    answer = await service.hello(token.sign(service.issuers[token.vendor]))
    if token.refused_as:
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    else:
        assert answer.status_code == (200 if "mcp.access" in token.scopes else 403)


async def test_a_large_token_is_accepted(service: ProtectedService) -> None:
    token = next(each for each in VENDOR_TOKENS if each.vendor == "Entra ID v2.0" and not each.refused_as)
    groups = [
        f"00000000-0000-4000-8000-{number:012}" for number in range(200)
    ]  # the maximum number that Entra ID includes
    signed = token.sign(service.issuers[token.vendor], groups=groups)
    assert len(signed) > 8 * 1024
    assert (await service.hello(signed)).status_code == 200
    too_large = token.sign(service.issuers[token.vendor], padding="x" * 16 * 1024)
    assert (await service.hello(too_large)).status_code == 401


async def test_a_tool_call_without_a_client_is_recorded_with_an_empty_client(service: ProtectedService) -> None:
    token = next(each for each in VENDOR_TOKENS if each.name == "no client")
    signed = token.sign(service.issuers[token.vendor], sub="auth0|without-client")
    await service.call(signed, "store_sensitive_data", data="hello")
    journals = service.stack.audit_dir.rglob("security_audit.log")
    events = [json.loads(line) for journal in journals for line in journal.read_text(encoding="utf-8").splitlines()]
    (event,) = [event for event in events if event.get("user_id") == "auth0|without-client"]
    assert (event["tool_name"], event["client_id"]) == ("store_sensitive_data", "")
    assert event["issuer"] == service.issuers[token.vendor].issuer
    with anyio.fail_after(60):
        while not (report := (await service.call(signed, "generate_security_report"))["figures"])["events"]:  # noqa: ASYNC110
            await anyio.sleep(0.1)  # the event is still being shipped to the stream
    assert report["by_user"].keys() == {"auth0|without-client"}
    assert report["by_client"] == {}


async def test_the_metadata_contains_each_issuer_identifier_unchanged(service: ProtectedService) -> None:
    metadata = await service.http.get(f"{service.stack.mcp_url}/.well-known/oauth-protected-resource/mcp")
    named = set(metadata.json()["authorization_servers"])
    assert {issuer.issuer for issuer in service.issuers.values()} <= named
