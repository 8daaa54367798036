"""The FastMCP client and the MCP Python SDK discover the server, get a token, call every tool and step up."""

import asyncio

from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider as SdkCredentials
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from local_stack.demo_scenario import CLIENT_ID, CLIENT_SECRET, ServicesApi
from local_stack.every_tool import call_every_tool, every_call


class Memory:
    """The token storage of the SDK; `scopes` lists the scopes of each stored token."""

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


def test_the_fastmcp_client_calls_every_tool_and_steps_up(api: ServicesApi) -> None:
    async def run():
        provider = ClientCredentialsOAuthProvider(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, issuer=api.auth_url)
        async with Client(f"{api.mcp_url}/mcp", auth=provider) as session:
            return await call_every_tool(session, every_call())

    results = asyncio.run(run())
    assert results["get_server_status"]["you"]["scopes"] == ["mcp.access"]


def test_the_python_sdk_calls_every_tool_and_steps_up(api: ServicesApi) -> None:
    memory = Memory()

    async def run():
        provider = SdkCredentials(f"{api.mcp_url}/mcp", memory, CLIENT_ID, CLIENT_SECRET, issuer=api.auth_url)
        async with create_mcp_http_client(auth=provider) as http:
            transport = streamable_http_client(f"{api.mcp_url}/mcp", http_client=http)
            async with SdkClient(transport) as session:
                return await call_every_tool(session, every_call())

    asyncio.run(run())
    assert [set(scope.split()) for scope in memory.scopes] == [{"mcp.access"}, {"mcp.access", "mcp.decrypt"}]


def test_only_the_authorization_server_offers_offline_access(api: ServicesApi) -> None:
    """If the resource metadata listed it, every client would request it, even without needing a refresh token."""
    server = api.http.get(f"{api.auth_url}/.well-known/oauth-authorization-server").json()
    resource = api.http.get(f"{api.mcp_url}/.well-known/oauth-protected-resource/mcp").json()
    challenge = api.http.post(f"{api.mcp_url}/mcp", json={}).headers["www-authenticate"]
    assert "offline_access" in server["scopes_supported"]
    assert "offline_access" not in resource["scopes_supported"]
    assert "offline_access" not in challenge
