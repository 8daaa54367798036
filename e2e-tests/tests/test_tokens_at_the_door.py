"""The 72 tokens, sent to a running resource service that trusts an issuer on loopback."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import StackPorts
from local_stack.stack import MCP, REDIS, Stack
from local_stack.story import mcp_request
from local_stack.token_rows import ROWS, TokenRow

# What another layer than the verifier answers: the HTTP server, and the scope of the route.
ELSEWHERE = {"5 MB": 431, "scope missing": 403}

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Door:
    """The service's /hello and the issuers that it trusts: its own, and a company's that writes as Keycloak does."""

    url: str
    issuer: LoopbackIssuer
    company: LoopbackIssuer
    http: httpx2.AsyncClient

    async def knock(self, token: str) -> httpx2.Response:
        credentials = f"Bearer {token}".strip().encode("utf-8", "surrogatepass")
        return await self.http.get(f"{self.url}/hello", headers={b"Authorization": credentials})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    stack = Stack(StackPorts.ephemeral(), tmp_path_factory.mktemp("door"), demo=False)
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
            yield Door(stack.mcp_url, issuer, company, http)
        finally:
            stack.stop()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_token_gets_its_verdict(door: Door, row: TokenRow) -> None:
    answer = await door.knock(row.make(door.issuer))
    assert answer.status_code == ELSEWHERE.get(row.name, 200 if row.accepted else 401)
    if answer.status_code == 401 and row.name != "empty":
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_out_of_demo_mode_nobody_is_handed_a_token(door: Door) -> None:
    async def ask(method: str, **parameters: object) -> str:
        headers, body = mcp_request(door.issuer.token(), "2026-07-28", method, parameters)
        return (await door.http.post(f"{door.url}/mcp", content=body, headers=headers)).text

    assert "get_server_status" in await ask("tools/list")
    assert "create_test_token" not in await ask("tools/list")
    assert "access_token" not in await ask("tools/call", name="create_test_token", arguments={})


async def test_a_good_token_without_the_scope_is_told_which(door: Door) -> None:
    answer = await door.knock(door.issuer.token(scope="openid"))
    assert answer.status_code == 403
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="mcp.access"' in challenge


def companys(door: Door, **changes: Any) -> str:
    named: dict[str, Any] = {"client_id": None, "azp": "their-app", "header": {"typ": "JWT", "kid": "theirs"}}
    return door.company.token(**named | changes)


async def test_each_trusted_issuer_has_its_own_audience_and_type(door: Door) -> None:
    verdicts = {
        "theirs as they write it": (companys(door), 200),
        "theirs for our audience": (companys(door, aud=door.issuer.audience), 401),
        "theirs typed as ours": (companys(door, header={"typ": "at+jwt", "kid": "theirs"}, client_id="x"), 401),
        "theirs with our key": (companys(door, header={"typ": "JWT", "kid": "first"}), 401),
        "ours for their audience": (door.issuer.token(aud=door.company.audience), 401),
        "ours typed as theirs": (door.issuer.token(header={"typ": "JWT"}), 401),
    }
    for name, (token, status) in verdicts.items():
        assert (await door.knock(token)).status_code == status, name
    metadata = await door.http.get(f"{door.url}/.well-known/oauth-protected-resource/mcp")
    assert metadata.json()["authorization_servers"] == [door.issuer.url, door.company.url]


async def test_a_caller_who_asks_too_much_waits_and_no_other_does(door: Door) -> None:
    greedy = door.issuer.token(sub="u_greedy")
    answers = [await door.knock(greedy) for _ in range(420)]  # over two minutes' share, should one end meanwhile
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert {answer.status_code for answer in answers} == {200, 429}
    assert (await door.knock(door.issuer.token(sub="u_modest"))).status_code == 200
    assert (await door.knock(companys(door, sub="u_greedy"))).status_code == 200
