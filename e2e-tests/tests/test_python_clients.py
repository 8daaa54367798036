"""The FastMCP client and the MCP Python SDK discover, get a token, call every tool and step up, unaided."""

import asyncio

import pytest
from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider as SdkCredentials
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from local_stack.every_tool import SECRET_TEXT, every_call
from local_stack.story import CLIENT_ID, CLIENT_SECRET, World


class Memory:
    """Where the SDK keeps its tokens; `scopes` remembers what each was for."""

    def __init__(self):
        self.tokens = None
        self.scopes = []

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        self.scopes.append(tokens.scope)

    async def get_client_info(self):
        return None

    async def set_client_info(self, client_info):
        raise AssertionError("the client was given, nothing is to be registered")


async def play(session, record_id: str) -> dict[str, object]:
    """Lists, then calls everything listed; gives the structured results."""
    listed = await session.list_tools()
    names = {tool.name for tool in getattr(listed, "tools", listed)}
    results = {}
    for name, arguments in every_call(record_id):
        result = await session.call_tool(name, arguments)
        assert not result.is_error, (name, result.content)
        results[name] = result.structured_content
    assert names == set(results)
    return results


@pytest.fixture
def record_id(world: World) -> str:
    return world.call("store_sensitive_data", {"data": SECRET_TEXT})["record_id"]


def test_the_fastmcp_client_calls_every_tool_and_steps_up(world: World, record_id: str) -> None:
    async def run():
        provider = ClientCredentialsOAuthProvider(
            client_id=CLIENT_ID, client_secret=CLIENT_SECRET, issuer=world.auth_url
        )
        async with Client(f"{world.mcp_url}/mcp", auth=provider) as session:
            return await play(session, record_id)

    results = asyncio.run(run())
    assert results["read_sensitive_data"]["data"] == SECRET_TEXT
    assert results["get_server_status"]["you"]["scopes"] == ["mcp.access"]


def test_the_python_sdk_calls_every_tool_and_steps_up(world: World, record_id: str) -> None:
    memory = Memory()

    async def run():
        provider = SdkCredentials(f"{world.mcp_url}/mcp", memory, CLIENT_ID, CLIENT_SECRET, issuer=world.auth_url)
        async with create_mcp_http_client(auth=provider) as http:
            transport = streamable_http_client(f"{world.mcp_url}/mcp", http_client=http)
            async with SdkClient(transport) as session:
                return await play(session, record_id)

    results = asyncio.run(run())
    assert results["read_sensitive_data"]["data"] == SECRET_TEXT
    assert [set(scope.split()) for scope in memory.scopes] == [{"mcp.access"}, {"mcp.access", "mcp.decrypt"}]
