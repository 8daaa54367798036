"""Replays how published MCP clients discover the authorization server: their captured requests, in their order.

Each first tries without a token. The answer leads to the metadata of the resource (RFC 9728), which leads to that of
the authorization server (RFC 8414). mcpc looks for the latter at the MCP server's own origin when it refreshes: it has
to be told 404 there, to go on with the address that it has.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from local_stack.demo_scenario import ServicesApi

RESOURCE_METADATA = "/.well-known/oauth-protected-resource/mcp"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
MCPC_AT_THE_RESOURCE = (
    SERVER_METADATA,
    "/.well-known/openid-configuration",
    f"/mcp{SERVER_METADATA}",
    "/mcp/.well-known/openid-configuration",
)

LATEST_VERSION, GEMINI_VERSION, SDK_VERSION = "2026-07-28", "2025-06-18", "2025-11-25"


def json_rpc(method: str, **parameters: object) -> Mapping[str, Any]:
    return {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}


def initialize(version: str) -> Mapping[str, Any]:
    return json_rpc(
        "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "client", "version": "1"}
    )


def try_without_token(api: ServicesApi, method: str, **request: Any) -> str:
    """The URL of the protected resource metadata, from the challenge (RFC 9728 section 5.1)."""
    headers = {"accept": "application/json, text/event-stream", **request.pop("headers", {})}
    answer = api.http.request(method, f"{api.mcp_url}/mcp", headers=headers, **request)
    assert answer.status_code == 401
    assert method != "HEAD" or answer.content == b""
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    return challenge.partition('resource_metadata="')[2].partition('"')[0]


def post_discover(api: ServicesApi) -> str:
    version = {"mcp-protocol-version": LATEST_VERSION, "mcp-method": "server/discover"}
    return try_without_token(api, "POST", json=json_rpc("server/discover"), headers=version)


def post_initialize(api: ServicesApi) -> str:
    return try_without_token(api, "POST", json=initialize(SDK_VERSION))


def post_and_head(api: ServicesApi) -> str:
    found = try_without_token(api, "POST", json=initialize(GEMINI_VERSION))
    assert try_without_token(api, "HEAD") == found
    return found


def get(api: ServicesApi) -> str:
    return try_without_token(api, "GET", headers={"accept": "text/event-stream"})


@pytest.mark.any_stack
@pytest.mark.parametrize(
    ("first_try", "rounds"),
    [
        pytest.param(post_discover, 1, id="Claude Code"),
        pytest.param(get, 3, id="Codex"),
        pytest.param(post_and_head, 2, id="Gemini CLI"),
        pytest.param(post_initialize, 1, id="opencode, mcp-remote, Inspector, SDKs"),
    ],
)
def test_a_client_finds_the_authorization_server(
    api: ServicesApi, first_try: Callable[[ServicesApi], str], rounds: int
) -> None:
    for _ in range(rounds):
        address = first_try(api)
        assert address == f"{api.mcp_url}{RESOURCE_METADATA}"
        resource = read(api, address)
        assert resource["resource"] == f"{api.mcp_url}/mcp"
        assert resource["authorization_servers"] == [api.auth_url]
        server = read(api, f"{api.auth_url}{SERVER_METADATA}")
        assert server["issuer"] == api.auth_url
        assert server["code_challenge_methods_supported"] == ["S256"]
        for endpoint in ("authorization_endpoint", "token_endpoint", "registration_endpoint"):
            assert server[endpoint].startswith(f"{api.auth_url}/")


def read(api: ServicesApi, address: str) -> Mapping[str, Any]:
    answer = api.http.get(address, headers={"accept": "application/json", "mcp-protocol-version": SDK_VERSION})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


@pytest.mark.any_stack
@pytest.mark.parametrize("path", MCPC_AT_THE_RESOURCE)
def test_the_resource_server_publishes_no_authorization_server_metadata(api: ServicesApi, path: str) -> None:
    assert api.http.get(f"{api.mcp_url}{path}").status_code == 404
