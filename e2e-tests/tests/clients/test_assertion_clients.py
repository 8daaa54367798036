"""The MCP SDKs get tokens with assertions: as a workload with the token of its platform, and for a user with an ID-JAG.

auth-service shows no page to anyone.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from enterprise_provider import (
    AGENT,
    AGENT_SECRET,
    RELYING_PARTY,
    RELYING_PARTY_SECRET,
    EnterpriseProvider,
    run_enterprise_provider,
)
from fastmcp import Client
from fastmcp.client.auth import PrivateKeyJWTOAuthProvider as FastMCPKey
from joserfc import jws
from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, static_assertion_provider
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from platform_tokens import CLUSTER, POD, Platform
from test_sdk_clients import STEPS, Memory

from local_stack.every_tool import SECRET_TEXT, call_every_tool, every_call
from local_stack.ports import StackPorts
from local_stack.stack import Stack, start_stack

pytestmark = pytest.mark.clients

SECRET = "secret-of-agent-at-auth-service"
DECLARATION = """
clients:
  - client_id: deploy
    scopes: [mcp.access, mcp.decrypt]
    workloads: [{{issuer: jobs, when: {{repository_id: "812", ref: refs/heads/main}}}}]
  - client_id: indexer
    scopes: [mcp.access, mcp.decrypt]
    workloads: [{{issuer: cluster, when: {{sub: "{pod}"}}}}]
  - client_id: {agent}
    secret_file: agent.secret
    grant_types: ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    scopes: [mcp.access, mcp.decrypt]
workload_issuers:
  - {{id: jobs, kind: github, jwks_file: platform.jwks}}
  - {{id: cluster, kind: kubernetes, issuer: "{cluster}", jwks_file: platform.jwks}}
identity_providers:
  - id: headquarters
    issuer: {provider}
    client_id: {relying_party}
    client_secret_file: provider.secret
    allow: {{everyone: true}}
    rules: [{{everyone: true, scopes: [mcp.access, mcp.decrypt]}}]
    enterprise_managed: {{}}
"""


@dataclass(frozen=True)
class Company:
    """The services, the identity provider of the company, and the platform of its workloads."""

    stack: Stack
    provider: EnterpriseProvider
    platform: Platform

    @property
    def server(self) -> str:
        """The URL of the MCP server."""
        return f"{self.stack.mcp_url}/mcp"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder, ports = tmp_path_factory.mktemp("company"), StackPorts.ephemeral()
    issuer = f"http://localhost:{ports.auth}"
    platform = Platform(issuer)
    platform.write_key_set(folder / "platform.jwks")
    (folder / "agent.secret").write_text(SECRET)
    (folder / "provider.secret").write_text(RELYING_PARTY_SECRET)
    (folder / "provider").mkdir()
    with run_enterprise_provider(folder / "provider", issuer) as provider:
        declaration = DECLARATION.format(
            pod=POD, agent=AGENT, cluster=CLUSTER, provider=provider.issuer, relying_party=RELYING_PARTY
        )
        (folder / "auth.yaml").write_text(declaration)
        overrides = {"AUTH_CONFIG": str(folder / "auth.yaml")}
        with start_stack(folder / "stack", ports=ports, overrides=overrides) as stack:
            yield Company(stack, provider, platform)


def call_with_python_sdk(company: Company, provider: httpx2.Auth) -> None:
    async def run() -> None:
        async with create_mcp_http_client(auth=provider) as http:
            transport = streamable_http_client(company.server, http_client=http)
            async with SdkClient(transport) as session:
                await call_every_tool(session, every_call())

    asyncio.run(run())


@pytest.mark.parametrize(("client_id", "kind"), [("deploy", "job"), ("indexer", "pod")])
def test_the_python_sdk_as_a_workload(company: Company, client_id: str, kind: str) -> None:
    """A job requests a token of its platform for each token of auth-service; a pod sends the one that it has."""

    async def new_job_token(audience: str) -> str:
        assert audience == company.platform.audience
        return company.platform.job_token()

    assertions: dict[str, Callable[[str], Awaitable[str]]] = {
        "job": new_job_token,
        "pod": static_assertion_provider(company.platform.pod_token()),
    }
    memory = Memory()
    provider = PrivateKeyJWTOAuthProvider(
        company.server, memory, client_id, assertions[kind], issuer=company.stack.issuer
    )
    call_with_python_sdk(company, provider)
    assert memory.scopes == STEPS


def test_fastmcp_as_a_workload(company: Company) -> None:
    assertion = static_assertion_provider(company.platform.pod_token())
    provider = FastMCPKey(client_id="indexer", assertion_provider=assertion, issuer=company.stack.issuer)

    async def run() -> None:
        async with Client(company.server, auth=provider) as session:
            await call_every_tool(session, every_call())

    asyncio.run(run())


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_the_python_sdk_for_a_user_of_the_company(company: Company, method: Any) -> None:
    memory = Memory()
    provider = IdentityAssertionOAuthProvider(
        company.server,
        memory,
        AGENT,
        SECRET,
        company.stack.issuer,
        company.provider.id_jags(company.provider.id_token_of_agent()),
        token_endpoint_auth_method=method,
    )
    call_with_python_sdk(company, provider)
    assert memory.scopes == STEPS
    assert memory.tokens is not None
    claims = json.loads(jws.extract_compact(memory.tokens.access_token.encode()).payload)
    assert claims["client_id"] == AGENT
    assert claims["sub"].startswith("u_")


def test_the_typescript_sdk_for_a_user_of_the_company(company: Company, run_application: Callable[..., Any]) -> None:
    """The SDK itself exchanges the ID token of the user at the provider, and redeems the ID-JAG."""
    calls = every_call()
    given = {
        "url": company.server,
        "issuer": company.stack.issuer,
        "calls": calls,
        "company": {
            "provider": company.provider.issuer,
            "idToken": company.provider.id_token_of_agent(),
            "clientId": AGENT,
            "secretAtProvider": AGENT_SECRET,
            "secret": SECRET,
        },
    }
    report = run_application("mcp_client.mjs", given)
    assert set(report["tools"]) == {name for name, _ in calls}
    assert not [name for name, result in report["results"].items() if result.get("isError")]
    assert report["results"]["read_sensitive_data"]["structuredContent"]["data"] == SECRET_TEXT
    assert [set(scope.split()) for scope in report["scopes"]] == STEPS
