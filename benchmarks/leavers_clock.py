"""How long a user who leaves can still call, from the notification of auth-service to the first refused call.

    PYTHONPATH=auth-service/tests:e2e-tests/tests/clients python benchmarks/leavers_clock.py [USERS]

auth-service is notified in four ways, of USERS users each: an operator's command, SCIM, back-channel logout, and the
page /account. Each user has tokens for the resource service and the gateway, and a verifier of `security_common` in
this process reads the former as well. All three are in use the whole time, and users leave at random moments, so that
the status lists have any age.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from company_browser import CALLBACK, Browser, Form
from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, running_provider

from local_stack.stack import AUTH, Stack, start_stack
from security_common.tokens import TokenRejected, TokenVerifier, TrustedIssuer

DECLARATION = """
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{callback}]
    scopes: [openid, mcp.access]
sign_in: {{local: "off"}}
identity_providers:
  - id: company
    issuer: {issuer}
    client_id: {client_id}
    client_secret_file: provider.secret
    allow: [{{claim: groups, has: staff}}]
    rules: [{{when: {{claim: groups, has: staff}}, scopes: [mcp.access]}}]
    scim: {{token_file: scim.token}}
"""
SCIM_TOKEN = "scim-token-of-the-company-0123456789"
VERIFIERS = ("resource service", "gateway", "verifier in a server of one's own")
POLL_SECONDS = 0.2
WINDOW_SECONDS = 60.0
MCP_HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/list",
}
LIST_TOOLS = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


@dataclass
class User:
    """A signed-in user, and the seconds until each verifier refused the tokens."""

    name: str
    browser: Browser
    for_resource_service: str
    for_gateway: str
    refused_after: dict[str, float] = field(default_factory=dict[str, float])


class Company:
    """The services, the provider of the users, and the three verifiers."""

    def __init__(self, stack: Stack, provider: OpenIdProvider, verifier: TokenVerifier) -> None:
        self.stack = stack
        self.provider = provider
        self.verifier = verifier
        self.http = httpx2.AsyncClient(timeout=20)

    async def close(self) -> None:
        await self.verifier.stop()
        await self.http.aclose()

    def sign_in(self, name: str, browser: Browser) -> User:
        self.provider.claims = {"sub": name, "preferred_username": name, "groups": ["staff"]}
        first = browser.tokens("openid mcp.access", resource=self.stack.resource)
        second = browser.tokens("openid mcp.access", resource=self.stack.gateway_resource)
        return User(name, browser, first["access_token"], second["access_token"])

    def disable(self, user: User) -> float:
        """Runs the operator's command. Each way of leaving returns when auth-service was notified."""
        command = [str(Path(sys.executable).with_name(AUTH)), "user", "disable", user.name]
        subprocess.run(command, env=self.stack.environment(AUTH), check=True, capture_output=True)
        return time.monotonic()  # a command starts for half a second before it changes anything

    def deactivate(self, user: User) -> float:
        found = user.browser.http.get(
            f"{self.stack.auth_url}/scim/v2/Users",
            params={"filter": f'externalId eq "{user.name}"'},
            headers={"authorization": f"Bearer {SCIM_TOKEN}"},
        ).json()
        learned_at = time.monotonic()
        answer = user.browser.http.patch(
            f"{self.stack.auth_url}/scim/v2/Users/{found['Resources'][0]['id']}",
            json={
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "value": {"active": False}}],
            },
            headers={"authorization": f"Bearer {SCIM_TOKEN}"},
        )
        answer.raise_for_status()
        return learned_at

    def log_out_at_provider(self, user: User) -> float:
        token = self.provider.logout_token(sub=user.name)
        learned_at = time.monotonic()
        url = f"{self.stack.auth_url}/oauth2/backchannel-logout/company"
        user.browser.http.post(url, data={"logout_token": token}).raise_for_status()
        return learned_at

    def disconnect_app(self, user: User) -> float:
        url = f"{self.stack.auth_url}/account"
        page = user.browser.http.get(url)
        form = {**Form(page.text).fields, "action": "end_app", "target": "app"}
        learned_at = time.monotonic()
        assert user.browser.http.post(url, data=form).status_code == 303
        return learned_at

    async def is_refused(self, verifier: str, user: User) -> bool:
        if verifier == VERIFIERS[0]:
            headers = {"authorization": f"Bearer {user.for_resource_service}"}
            return _is_401(await self.http.get(f"{self.stack.mcp_url}/hello", headers=headers))
        if verifier == VERIFIERS[1]:
            headers = {"authorization": f"Bearer {user.for_gateway}", **MCP_HEADERS}
            return _is_401(await self.http.post(f"{self.stack.gateway_url}/mcp", json=LIST_TOOLS, headers=headers))
        try:
            await self.verifier.verify(user.for_resource_service)
        except TokenRejected:
            return True
        return False

    async def leave(self, user: User, end: Callable[[User], float]) -> None:
        """Ends the access of the user at a random moment, and measures at each verifier when that is noticed."""
        await asyncio.sleep(random.uniform(0, WINDOW_SECONDS))
        learned_at = await asyncio.to_thread(end, user)
        await asyncio.gather(*(self._measure(verifier, user, learned_at) for verifier in VERIFIERS))

    async def _measure(self, verifier: str, user: User, learned_at: float) -> None:
        while not await self.is_refused(verifier, user):  # noqa: ASYNC110 - only a call shows it
            await asyncio.sleep(POLL_SECONDS)
        user.refused_after[verifier] = time.monotonic() - learned_at

    async def keep_calling(self, user: User) -> None:
        """The calls of a user who stays."""
        while True:
            for verifier in VERIFIERS:
                assert not await self.is_refused(verifier, user), verifier
            await asyncio.sleep(POLL_SECONDS)


def _is_401(answer: httpx2.Response) -> bool:
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 401


@contextmanager
def running_company(folder: Path) -> Iterator[tuple[Stack, OpenIdProvider]]:
    gateway = {"upstreams": {"none": {"url": "http://localhost:9/mcp", "policy": "observe"}}}
    (folder / "gateway.yaml").write_text(json.dumps(gateway))
    (folder / "provider.secret").write_text(CLIENT_SECRET)
    (folder / "scim.token").write_text(SCIM_TOKEN)
    with running_provider() as provider:
        declaration = DECLARATION.format(callback=CALLBACK, client_id=CLIENT_ID, issuer=provider.issuer)
        (folder / "auth.yaml").write_text(declaration, encoding="utf-8")
        overrides = {"GATEWAY_UPSTREAMS": str(folder / "gateway.yaml"), "AUTH_CONFIG": str(folder / "auth.yaml")}
        with start_stack(folder / "stack", overrides=overrides) as stack:
            yield stack, provider


async def measure(stack: Stack, provider: OpenIdProvider, users: int) -> dict[str, dict[str, dict[str, float]]]:
    """The seconds by way of leaving and verifier."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with ExitStack() as running:
        verifier = TokenVerifier([TrustedIssuer(stack.issuer, stack.resource)])
        company = Company(stack, provider, verifier)
        ways = {
            "auth-service user disable": company.disable,
            "SCIM active: false": company.deactivate,
            "back-channel logout": company.log_out_at_provider,
            "app disconnected at /account": company.disconnect_app,
        }

        def new_user(name: str) -> User:
            http = running.enter_context(httpx2.Client(timeout=20))
            return company.sign_in(name, Browser(stack.auth_url, http))

        staying = await asyncio.to_thread(new_user, "staying")
        leavers: dict[str, list[User]] = {}
        for number, way in enumerate(ways):
            names = [f"leaver-{number}-{each}" for each in range(users)]
            leavers[way] = [await asyncio.to_thread(new_user, name) for name in names]
        calls = asyncio.create_task(company.keep_calling(staying))
        await asyncio.gather(*(company.leave(user, ways[way]) for way, all_ in leavers.items() for user in all_))
        if calls.done():
            calls.result()  # raises what was wrong
        calls.cancel()
        await company.close()
    for way, gone in leavers.items():
        figures[way] = {name: summary([user.refused_after[name] for user in gone]) for name in VERIFIERS}
    return figures


def summary(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 1), "longest": round(max(seconds), 1)}


def main(users: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running_company(Path(folder)) as (stack, provider):
        print(json.dumps(asyncio.run(measure(stack, provider, users)), indent=2))


if __name__ == "__main__":
    main(int((*sys.argv, "10")[1]))
