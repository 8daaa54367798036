"""Issuers answer incorrectly, slowly or with another issuer's metadata during MCP calls: no valid token is refused.

One running service trusts one issuer for each kind of failure. All of them fail at the same time and recover.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import anyio.to_thread
import httpx2
import pytest

from local_stack.demo_scenario import mcp_request
from local_stack.loopback_issuer import LoopbackIssuer, http_answer, signing_key
from local_stack.ports import StackPorts
from local_stack.stack import MCP, REDIS, Stack
from local_stack.wrong_answers import WRONG_ANSWERS, always, hanging

pytestmark = pytest.mark.anyio
KEYS, METADATA = "/keys", "/.well-known/oauth-authorization-server"
IMPOSTOR = json.dumps({"issuer": "http://127.0.0.1:1", "jwks_uri": "http://127.0.0.1:1/keys"}).encode()
CONFUSIONS = {
    name: {KEYS: WRONG_ANSWERS[name]}
    for name in ("HTML", "500", "redirect", "empty set", "30 MB", "half a body", "drip", "reset", "50,000 deep")
} | {
    "silence": {KEYS: hanging},
    # The key set has to fail first, because the metadata is read again only after that.
    "another issuer's name": {KEYS: WRONG_ANSWERS["500"], METADATA: always(http_answer(IMPOSTOR))},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Service:
    """A running resource service, its trusted issuers, and its responses to calls with valid tokens."""

    url: str
    issuers: dict[str, LoopbackIssuer]
    http: httpx2.AsyncClient
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def call(self, token: str) -> int:
        call = {"name": "test_pii_detection", "arguments": {"text": "nothing"}}
        headers, body = mcp_request(token, "2026-07-28", "tools/call", call)
        return (await self.http.post(f"{self.url}/mcp", content=body, headers=headers)).status_code

    async def call_on(self, name: str) -> None:
        """Calls with tokens it has seen and with fresh ones, until cancelled."""
        number = 0
        while True:
            number += 1
            status = await self.call(self.issuers[name].token(jti=str(number // 2)))
            self.answered[name, status] += 1

    async def answers_more(self, calls: int) -> None:
        """Until so many calls more have been answered for each issuer."""
        wanted = {name: self.answered[name, 200] + calls for name in self.issuers}
        while any(self.answered[name, 200] < number for name, number in wanted.items()):
            assert {status for _, status in self.answered} <= {200}, self.answered
            await asyncio.sleep(0.02)

    async def lives(self) -> None:
        """Until the process answers at all."""
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if (await self.http.get(f"{self.url}/livez")).status_code == 200:
                    return
            await asyncio.sleep(0.05)

    async def readiness(self) -> tuple[int, str]:
        answer = await self.http.get(f"{self.url}/readyz")
        return answer.status_code, answer.json()["checks"]["keys"]["note"]


@pytest.fixture
async def service(tmp_path) -> AsyncIterator[Service]:
    async with AsyncExitStack() as cleanup:
        issuers = {name: await cleanup.enter_async_context(LoopbackIssuer(now=time.time)) for name in CONFUSIONS}
        stack = Stack(StackPorts.ephemeral(), tmp_path, demo=False)
        for issuer in issuers.values():
            issuer.audience = stack.resource
        first, *others = (issuer.url for issuer in issuers.values())
        trusted = [{"issuer": url, "audience": stack.resource} for url in others]
        stack.overrides = {"MCP_ISSUER": first, "MCP_TRUSTED_ISSUERS": json.dumps(trusted)}
        cleanup.callback(stack.stop)
        stack.start(REDIS)
        stack.start_one(MCP)
        await anyio.to_thread.run_sync(stack.wait_until_ready, MCP)
        http = await cleanup.enter_async_context(httpx2.AsyncClient(timeout=20))
        yield Service(stack.mcp_url, issuers, http)


async def test_valid_tokens_are_accepted_while_an_issuer_answers_wrongly(service):
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(service.call_on(name)) for name in service.issuers]
        await answer_wrongly_and_recover(service)
        for task in running:
            task.cancel()
    assert {status for _, status in service.answered} == {200}, service.answered


async def test_the_service_becomes_ready_when_the_issuer_starts_later(tmp_path):
    async with LoopbackIssuer(now=time.time) as issuer, httpx2.AsyncClient(timeout=20) as http:
        stack = Stack(StackPorts.ephemeral(), tmp_path, {"MCP_ISSUER": issuer.url}, demo=False)
        issuer.audience = stack.resource
        service = Service(stack.mcp_url, {"late": issuer}, http)
        await issuer.stop()
        try:
            stack.start(REDIS)
            stack.start_one(MCP)
            async with asyncio.timeout(60):
                await service.lives()
            assert (await service.readiness())[0] == 503
            assert await service.call(issuer.token()) == 503
            assert (await http.get(f"{stack.mcp_url}/hello")).status_code == 401
            await issuer.start()
            async with asyncio.timeout(60):
                while await service.call(issuer.token()) != 200:  # noqa: ASYNC110 - another process decides
                    await asyncio.sleep(0.1)
            assert (await service.readiness())[0] == 200
        finally:
            stack.stop()


async def answer_wrongly_and_recover(service: Service) -> None:
    await service.answers_more(2)
    for name, issuer in service.issuers.items():
        issuer.answers |= CONFUSIONS[name]
    # An unknown key id causes a fetch. The response may be 401 or 503, but never 500.
    unknown_key_calls = [service.call(issuer.token(header={"kid": "unknown"})) for issuer in service.issuers.values()]
    async with asyncio.timeout(60):
        assert set(await asyncio.gather(*unknown_key_calls)) <= {401, 503}
    await service.issuers["another issuer's name"].wait_for_requests(METADATA, 2)
    await service.answers_more(4)
    status, note = await service.readiness()
    assert status == 200
    assert all(issuer.url in note for issuer in service.issuers.values())

    for issuer in service.issuers.values():
        issuer.answers.clear()
    async with asyncio.timeout(60):
        while await service.readiness() != (200, ""):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.1)
    for issuer in service.issuers.values():
        issuer.keys["second"] = signing_key("second")
        assert await service.call(issuer.token(key="second")) == 200
    await service.answers_more(2)
