"""The 72 tokens, sent to a running resource service that trusts an issuer on loopback."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from local_stack.demo_scenario import mcp_request
from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import StackPorts
from local_stack.stack import MCP, REDIS, Stack
from local_stack.token_rows import ROWS, TokenRow

# Responses of other layers than the verifier: the HTTP server, and the scope check of the route.
ELSEWHERE = {"5 MB": 431, "scope missing": 403}

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class ProtectedService:
    """The service's /hello and the issuers that it trusts: its own, and a company's that writes as Keycloak does."""

    url: str
    issuer: LoopbackIssuer
    company: LoopbackIssuer
    http: httpx2.AsyncClient

    async def request(self, token: str) -> httpx2.Response:
        credentials = f"Bearer {token}".strip().encode("utf-8", "surrogatepass")
        return await self.http.get(f"{self.url}/hello", headers={b"Authorization": credentials})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProtectedService]:
    stack = Stack(StackPorts.ephemeral(), tmp_path_factory.mktemp("service"), demo=False)
    own, others = LoopbackIssuer(stack.resource, now=time.time), LoopbackIssuer("api://company", now=time.time)
    async with own as issuer, others as company, httpx2.AsyncClient(timeout=20) as http:
        company.keys = {"theirs": company.keys.pop("first")}
        trusted = {"issuer": company.url, "audience": company.audience, "typ": ["JWT"]}
        stack.overrides = {
            "MCP_ISSUER": issuer.url,
            "MCP_TRUSTED_ISSUERS": json.dumps([trusted]),
            "MCP_REQUESTS_PER_MINUTE": "200",
        }
        try:
            stack.start(REDIS)
            stack.start_one(MCP)
            await anyio.to_thread.run_sync(stack.wait_until_ready, MCP)
            yield ProtectedService(stack.mcp_url, issuer, company, http)
        finally:
            stack.stop()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_token_is_accepted_or_refused_as_listed(service: ProtectedService, row: TokenRow) -> None:
    answer = await service.request(row.make(service.issuer))
    assert answer.status_code == ELSEWHERE.get(row.name, 200 if row.accepted else 401)
    if answer.status_code == 401 and row.name != "empty":
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_without_demo_mode_no_test_token_is_issued(service: ProtectedService) -> None:
    async def ask(method: str, **parameters: object) -> str:
        headers, body = mcp_request(service.issuer.token(), "2026-07-28", method, parameters)
        return (await service.http.post(f"{service.url}/mcp", content=body, headers=headers)).text

    assert "get_server_status" in await ask("tools/list")
    assert "create_test_token" not in await ask("tools/list")
    assert "access_token" not in await ask("tools/call", name="create_test_token", arguments={})


async def test_a_valid_token_without_the_scope_gets_the_missing_scope(service: ProtectedService) -> None:
    answer = await service.request(service.issuer.token(scope="openid"))
    assert answer.status_code == 403
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="mcp.access"' in challenge


def company_token(service: ProtectedService, **changes: Any) -> str:
    named: dict[str, Any] = {"client_id": None, "azp": "their-app", "header": {"typ": "JWT", "kid": "theirs"}}
    return service.company.token(**named | changes)


async def test_each_trusted_issuer_has_its_own_audience_and_type(service: ProtectedService) -> None:
    verdicts = {
        "theirs as they write it": (company_token(service), 200),
        "theirs for our audience": (company_token(service, aud=service.issuer.audience), 401),
        "theirs typed as ours": (company_token(service, header={"typ": "at+jwt", "kid": "theirs"}, client_id="x"), 401),
        "theirs with our key": (company_token(service, header={"typ": "JWT", "kid": "first"}), 401),
        "ours for their audience": (service.issuer.token(aud=service.company.audience), 401),
        "ours typed as theirs": (service.issuer.token(header={"typ": "JWT"}), 401),
    }
    for name, (token, status) in verdicts.items():
        assert (await service.request(token)).status_code == status, name
    metadata = await service.http.get(f"{service.url}/.well-known/oauth-protected-resource/mcp")
    assert metadata.json()["authorization_servers"] == [service.issuer.url, service.company.url]


async def test_the_rate_limit_applies_to_one_caller_only(service: ProtectedService) -> None:
    greedy = service.issuer.token(sub="u_greedy")
    answers = [await service.request(greedy) for _ in range(420)]  # over two minutes' share, should one end meanwhile
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert {answer.status_code for answer in answers} == {200, 429}
    assert (await service.request(service.issuer.token(sub="u_modest"))).status_code == 200
    assert (await service.request(company_token(service, sub="u_greedy"))).status_code == 200
