"""Six stories of people and programs of a company: joiner, mover, leaver, outsider, an agent of the company, a CI job.

The company's provider is oidc-provider of npm, that of another company oauth2-mock-server, and the headquarters have a
second auth-service. What is refused is refused by the resource service, which verifies tokens on its own.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from company_browser import CALLBACK, Browser
from enterprise_provider import AGENT, RELYING_PARTY, RELYING_PARTY_SECRET, EnterpriseProvider, run_enterprise_provider
from fastmcp import Client
from fastmcp.exceptions import ToolError
from joserfc import jws
from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, static_assertion_provider
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from platform_tokens import Platform
from redis import Redis
from test_sdk_clients import Memory

from local_stack.ports import StackPorts, free_ports
from local_stack.stack import AUTH, Stack, start_stack

pytestmark = pytest.mark.clients

APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
SCIM_TOKEN = "scim-token-of-the-company-" * 2
AGENT_SECRET = "secret-of-agent-at-auth-service"
STATUS_LIST_TTL_SECONDS = 1
PROTOCOL_VERSION = "2026-07-28"
# Refusals come within this time and a second; a machine under load needs longer.
PATIENCE_SECONDS = 60

DECLARATION = """
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{callback}]
    scopes: [openid, profile, email, offline_access, mcp.access, mcp.decrypt]
  - client_id: {agent}
    secret_file: agent.secret
    grant_types: ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
  - client_id: deploy
    workloads: [{{issuer: jobs, when: {{repository_id: "812", ref: refs/heads/main}}}}]
sign_in: {{local: "off"}}
identity_providers:
  - id: company
    issuer: {company}
    client_id: auth-service
    client_secret_file: provider.secret
    allow: [{{claim: groups, has: staff}}]
    rules:
      - {{when: {{claim: groups, has: staff}}, scopes: [mcp.access]}}
      - {{when: {{claim: groups, has: payroll}}, scopes: [mcp.decrypt]}}
    scim: {{token_file: scim.token, subject: externalId}}
  - id: partner
    issuer: {partner}
    client_id: auth-service
    client_secret_file: provider.secret
    allow: [{{claim: groups, has: contractors}}]
    rules: [{{everyone: true, scopes: [mcp.access, mcp.decrypt]}}]
  - id: headquarters
    issuer: {headquarters}
    client_id: {relying_party}
    client_secret_file: headquarters.secret
    allow: {{everyone: true}}
    rules: [{{everyone: true, scopes: [mcp.access]}}]
    enterprise_managed: {{}}
workload_issuers:
  - {{id: jobs, kind: github, jwks_file: platform.jwks}}
"""


@dataclass(frozen=True)
class Company:
    """The services, and the three identity providers at which people sign in."""

    folder: Path
    stack: Stack
    people: str
    """The URL of the company's provider."""
    partner: str
    """The URL of the other company's provider."""
    headquarters: EnterpriseProvider
    platform: Platform

    @property
    def server(self) -> str:
        """The URL of the MCP server."""
        return f"{self.stack.mcp_url}/mcp"

    def change_person(self, subject: str, claims: Mapping[str, Any]) -> None:
        """What the company's provider says about a person from now on."""
        assert httpx2.post(f"{self.people}/people", json={subject: claims}).status_code == 204

    def change_outsider(self, claims: Mapping[str, Any]) -> None:
        """What the other company's provider says about the person who signs in there."""
        changes = {"id_token": claims, "userinfo": claims}
        assert httpx2.post(f"{self.partner}/next", json=changes).status_code == 204

    @contextmanager
    def browser(self, provider: str = "company") -> Iterator[Browser]:
        """The browser of a person who has not signed in and chooses this provider."""
        with httpx2.Client(timeout=20) as http:
            yield Browser(self.stack.issuer, http, provider)

    def call(self, tokens: Mapping[str, Any], tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured result of a tool."""

        async def run() -> dict[str, Any]:
            async with Client(self.server, auth=tokens["access_token"]) as session:
                return (await session.call_tool(tool, arguments)).structured_content

        return asyncio.run(run())

    def wait_until_refused(self, tokens: Mapping[str, Any]) -> None:
        """Returns when the resource service refuses the access token."""
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while httpx2.get(f"{self.stack.mcp_url}/hello", headers=headers).status_code != 401:
            assert time.monotonic() < deadline, "the access token is still accepted"
            time.sleep(0.05)

    def let_an_hour_pass(self) -> None:
        """The last check of everyone at their provider is an hour ago, so the next refresh queries it again."""
        with Redis.from_url(self.stack.redis_url("auth"), password=self.stack.redis_password("auth")) as redis:
            for key in redis.scan_iter("auth:identity:*"):
                identity = json.loads(redis.get(key))
                identity["checked_at_seconds"] -= 3600
                redis.set(key, json.dumps(identity))

    def status_of_call(self, tokens: Mapping[str, Any], tool: str, **arguments: Any) -> int:
        """The HTTP status of the response to a call."""
        headers = {
            "authorization": f"Bearer {tokens['access_token']}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL_VERSION,
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        prefix = "io.modelcontextprotocol/"
        about = {f"{prefix}protocolVersion": PROTOCOL_VERSION, f"{prefix}clientCapabilities": {}}
        params = {"name": tool, "arguments": arguments, "_meta": about}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return httpx2.post(self.server, json=body, headers=headers, timeout=20).status_code

    def command(self, *words: str) -> str:
        """What a command of auth-service prints."""
        program = str(Path(sys.executable).with_name(AUTH))
        environment = self.stack.environment(AUTH)
        return subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=True).stdout

    def account_of(self, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """The account to which an access token belongs."""
        subject = subject_of(tokens["access_token"])
        return next(each for each in json.loads(self.command("user", "list", "--json")) if each["subject"] == subject)

    def scim(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The answer to a request of the company's provider that manages its users."""
        headers = {"authorization": f"Bearer {SCIM_TOKEN}"}
        answer = httpx2.request(method, f"{self.stack.issuer}/scim/v2/{path}", headers=headers, timeout=20, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def company(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder, ports = tmp_path_factory.mktemp("company"), StackPorts.ephemeral()
    issuer = f"http://localhost:{ports.auth}"
    people, partner = free_ports(2)
    given = {
        "port": people,
        "client_id": "auth-service",
        "client_secret": RELYING_PARTY_SECRET,
        "redirect_uri": f"{issuer}/oauth2/callback/company",
        "backchannel_logout_uri": f"{issuer}/oauth2/backchannel-logout/company",
        "person": "nobody",
    }
    platform = Platform(issuer)
    platform.write_key_set(folder / "platform.jwks")
    secrets = {"agent.secret": AGENT_SECRET, "scim.token": SCIM_TOKEN, "provider.secret": RELYING_PARTY_SECRET}
    for name, secret in {**secrets, "headquarters.secret": RELYING_PARTY_SECRET}.items():
        (folder / name).write_text(secret)
    headquarters_folder = tmp_path_factory.mktemp("headquarters")
    with ExitStack() as running:
        running.enter_context(run_node(node, "openid_provider.mjs", json.dumps(given)))
        running.enter_context(run_node(node, "mock_provider.mjs", str(partner)))
        headquarters = running.enter_context(run_enterprise_provider(headquarters_folder, issuer))
        declaration = DECLARATION.format(
            callback=CALLBACK,
            agent=AGENT,
            company=f"http://localhost:{people}",
            partner=f"http://localhost:{partner}",
            headquarters=headquarters.issuer,
            relying_party=RELYING_PARTY,
        )
        (folder / "auth.yaml").write_text(declaration)
        overrides = {
            "AUTH_CONFIG": str(folder / "auth.yaml"),
            "AUTH_STATUS_LIST_TTL_SECONDS": str(STATUS_LIST_TTL_SECONDS),
        }
        stack = running.enter_context(start_stack(folder / "stack", ports=ports, overrides=overrides, demo=False))
        yield Company(
            folder, stack, f"http://localhost:{people}", f"http://localhost:{partner}", headquarters, platform
        )


@contextmanager
def run_node(node: Path, script: str, given: str) -> Iterator[None]:
    """A provider of npm, which prints a line when it listens."""
    with subprocess.Popen([str(node), script, given], cwd=APPLICATIONS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(line.startswith("{") for line in process.stdout)
            yield
        finally:
            process.terminate()


def subject_of(token: str) -> str:
    return json.loads(jws.extract_compact(token.encode()).payload)["sub"]


def test_a_joiner_has_an_account_and_the_scopes_of_the_group(company: Company) -> None:
    company.change_person("joiner", {"groups": ["staff"], "name": "Hong Gildong", "preferred_username": "hong"})
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access mcp.decrypt")
    assert tokens["scope"] == "mcp.access"
    assert company.call(tokens, "get_server_status")["you"]["scopes"] == ["mcp.access"]
    assert company.account_of(tokens)["username"] == "hong"


def test_a_mover_loses_the_scopes_of_the_old_group(company: Company) -> None:
    company.change_person("mover", {"groups": ["staff", "payroll"]})
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access mcp.decrypt")
        assert tokens["scope"] == "mcp.access mcp.decrypt"
        record = company.call(tokens, "store_sensitive_data", data="010-1234-5678", field="phone")["record_id"]
        assert company.call(tokens, "read_sensitive_data", record_id=record)["data"] == "010-1234-5678"
        company.change_person("mover", {"groups": ["staff"]})
        company.let_an_hour_pass()
        tokens = browser.refresh(tokens)
    assert tokens["scope"] == "mcp.access"
    assert company.call(tokens, "get_server_status")["you"]["scopes"] == ["mcp.access"]
    assert company.status_of_call(tokens, "read_sensitive_data", record_id=record) == 403


def test_a_leaver_is_refused_after_the_next_check(company: Company) -> None:
    company.change_person("leaver", {"groups": ["staff"]})
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access")
        assert company.call(tokens, "get_server_status")["status"] == "ready"
        company.change_person("leaver", {"groups": []})
        company.let_an_hour_pass()
        assert browser.refresh(tokens)["error"] == "invalid_grant"
        company.wait_until_refused(tokens)
        assert browser.page_after_sign_in("mcp.access").status_code == 403


def test_a_leaver_is_refused_at_once_where_the_provider_manages_the_accounts(company: Company) -> None:
    company.change_person("managed leaver", {"groups": ["staff"]})
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access")
        assert company.call(tokens, "get_server_status")["status"] == "ready"
        (user,) = company.scim("GET", "Users", params={"filter": 'externalId eq "managed leaver"'})["Resources"]
        company.scim("PATCH", f"Users/{user['id']}", json=deactivation())
        company.wait_until_refused(tokens)
        assert browser.refresh(tokens)["error"] == "invalid_grant"
        assert browser.page_after_sign_in("mcp.access").status_code == 403


def deactivation() -> dict[str, Any]:
    operation = {"op": "replace", "path": "active", "value": False}
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}


def test_an_outsider_with_the_same_address_and_subject_gets_nothing(company: Company) -> None:
    claims = {"email": "kim@example.com", "email_verified": True, "preferred_username": "kim"}
    company.change_person("kim", {"groups": ["staff", "payroll"], **claims})
    with company.browser() as browser:
        tokens = browser.tokens("mcp.access")
    record = company.call(tokens, "store_sensitive_data", data="010-1234-5678", field="phone")["record_id"]
    company.change_outsider({"sub": "kim", "groups": ["staff"], **claims})
    with company.browser("partner") as browser:
        assert browser.page_after_sign_in("mcp.access").status_code == 403
    company.change_outsider({"sub": "kim", "groups": ["contractors"], **claims})
    with company.browser("partner") as browser:
        outsiders_tokens = browser.tokens("mcp.access mcp.decrypt")
    assert subject_of(outsiders_tokens["access_token"]) != subject_of(tokens["access_token"])
    with pytest.raises(ToolError, match="record"):
        company.call(outsiders_tokens, "read_sensitive_data", record_id=record)


def test_an_agent_of_the_company_acts_for_its_user_without_a_page(company: Company) -> None:
    """The agent has an ID token of its user. auth-service shows no page, and the account is that of a sign-in."""
    memory = Memory()
    id_token = company.headquarters.id_token_of_agent()
    id_jags = company.headquarters.id_jags(id_token)
    provider = IdentityAssertionOAuthProvider(
        company.server, memory, AGENT, AGENT_SECRET, company.stack.issuer, id_jags
    )

    async def call() -> None:
        async with Client(company.server, auth=provider) as session:
            status = (await session.call_tool("get_server_status")).structured_content
            assert status["you"] == {"client_id": AGENT, "scopes": ["mcp.access"]}

    asyncio.run(call())
    assert memory.tokens is not None
    agents = memory.tokens.model_dump()
    username = company.account_of(agents)["username"]
    (identity,) = json.loads(company.command("user", "identities", username, "--json"))
    assert (identity["provider"], identity["subject"]) == ("headquarters", subject_of(id_token))
    company.command("user", "disable", username)
    company.wait_until_refused(agents)
    with pytest.raises(RuntimeError, match="invalid_grant"):
        asyncio.run(call())


def test_a_ci_job_calls_a_tool_and_no_secret_is_on_disk(company: Company) -> None:
    token = company.platform.job_token()

    async def call(job_token: str) -> dict[str, Any]:
        assertion = static_assertion_provider(job_token)
        provider = PrivateKeyJWTOAuthProvider(
            company.server, Memory(), "deploy", assertion, issuer=company.stack.issuer
        )
        async with Client(company.server, auth=provider) as session:
            return (await session.call_tool("get_server_status")).structured_content

    assert asyncio.run(call(token))["you"] == {"client_id": "deploy", "scopes": ["mcp.access"]}
    pull_request = company.platform.job_token(sub="repo:octo/deploy:pull_request", ref="refs/pull/7/merge")
    with pytest.raises(RuntimeError, match="invalid_client"):
        asyncio.run(call(pull_request))
    stored = [path.read_bytes() for path in company.folder.rglob("*") if path.is_file()]
    secrets = (token, pull_request, company.platform.key.as_dict(private=True)["d"])
    assert not [secret for secret in secrets if any(str(secret).encode() in content for content in stored)]
