"""Users of an auth-service that declares identity providers: their browsers, and the requests of their apps."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from argon2 import PasswordHasher
from joserfc import jwk
from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import DECLARATION, Page, Person, Request, redeem, sent_to_client

from auth_service.accounts.account import Account
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore

HOUR = 3600.0
LINKED_PASSWORD = "a good password"

USUAL_RULES = """
    allow: [{claim: groups, has: staff}, {claim: groups, has: audit}, {claim: groups, has: guest}]
    rules:
      - {when: {claim: groups, has: staff}, scopes: [mcp.access]}
      - {when: {claim: groups, has: clear}, scopes: [mcp.decrypt]}
      - {when: {claim: groups, has: audit}, roles: [auditor]}
"""


def declare(provider: OpenIdProvider, *, sign_in: str = "", more: str = USUAL_RULES, identity: str = "company") -> str:
    return f"""{DECLARATION}
{sign_in}
identity_providers:
  - id: {identity}
    issuer: {provider.issuer}
    client_id: {CLIENT_ID}
    client_secret_file: provider.secret
    name: {{ko: 회사 계정, en: Company account}}
{more}
"""


def declare_second(folder: Path) -> str:
    """A second provider, which does not answer."""
    (folder / "key").write_text(json.dumps(jwk.ECKey.generate_key("P-256").as_dict(private=True)))
    return """
  - id: partner
    issuer: http://localhost:9
    client_id: auth-service
    private_key_file: key
    accounts: linked
    allow: {everyone: true}
"""


def start_with_provider(
    start_service: StartService, folder: Path, declaration: str, *, redis_url: str, **settings: object
) -> Service:
    """The service has a database of its own, because services check the users of all others that share it."""
    (folder / "provider.secret").write_text(CLIENT_SECRET)
    (folder / "auth.yaml").write_text(declaration)
    return start_service(config=folder / "auth.yaml", trusted_proxies="127.0.0.1", redis_url=redis_url, **settings)


class CompanyUser(Person):
    """A person whose browser also follows redirects to the provider and back."""

    def __init__(self, service: Service, *, source: str) -> None:
        super().__init__(service.issuer.replace("localhost", "127.0.0.1"), source=source)
        self.service, self.issuer = service, service.issuer

    def _walk(self, answer: httpx2.Response) -> httpx2.Response:
        while answer.status_code in {302, 303} and self._is_followed(answer.headers["location"]):
            answer = self.http.get(answer.headers["location"].replace(self.issuer, str(self.http.base_url).rstrip("/")))
        return answer

    def _is_followed(self, location: str) -> bool:
        path = urlsplit(location).path
        return location.startswith("/oauth2/") or path == "/authorize" or path.startswith("/oauth2/callback/")

    def start(self, request: Request) -> httpx2.Response:
        """Chooses the provider on the sign-in page; returns the first redirect, which leads to it."""
        page = self.open(request.path)
        return self.http.get(next(link for link in Page(page.text).links.values() if "/sign-in/" in link))

    def callback(self, request: Request) -> str:
        """The address at which the provider answers this browser."""
        at_provider = self.http.get(self.start(request).headers["location"])
        assert at_provider.status_code == 302, at_provider.text
        return at_provider.headers["location"].replace(self.issuer, "")

    def sign_in_at_provider(self, request: Request) -> httpx2.Response:
        return self._walk(self.start(request))

    def grant_with_provider(self, request: Request) -> dict[str, str]:
        """Completes the request; returns the parameters of the redirect to the client."""
        answer = self.sign_in_at_provider(request)
        if Page(answer.text).action == "/oauth2/consent":
            answer = self.allow(answer)
        return sent_to_client(answer)

    def tokens_of_session(self, request: Request) -> dict[str, str]:
        """The token response for a request that the session of the browser answers; the user allows it if asked."""
        answer = self.open(request.path)
        if Page(answer.text).action == "/oauth2/consent":
            answer = self.allow(answer)
        return redeem(self.http, request, sent_to_client(answer)["code"]).json()

    def tokens(self, request: Request) -> httpx2.Response:
        return redeem(self.http, request, self.grant_with_provider(request)["code"])


def in_redis(service: Service, work: Callable[[Redis], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Redis.from_url(service.settings.redis_url, decode_responses=True) as connection:
            return await work(connection)

    return asyncio.run(run())


def identity_of(service: Service, provider: OpenIdProvider) -> Identity:
    async def find(connection: Redis) -> Identity | None:
        return await Identities(connection).find(provider.issuer, provider.claims["sub"])

    found = in_redis(service, find)
    assert found is not None
    return found


def add_linked_account(service: Service, provider: OpenIdProvider, name: str) -> str:
    """A local account with a password that is linked to the person `name` at the provider; returns its `sub`."""
    account = Account(subject=f"u_{name}", username=name, name=name)
    identity = Identity(
        provider="company",
        issuer=provider.issuer,
        subject=name,
        account=account.subject,
        label="at the provider",
        linked_at_seconds=1.0,
        checked_at_seconds=1.0,
    )

    async def add(connection: Redis) -> None:
        await AccountStore(connection).add(account, PasswordHasher().hash(LINKED_PASSWORD))
        await Identities(connection).link(identity)

    in_redis(service, add)
    return account.subject


def let_time_pass(service: Service, provider: OpenIdProvider, seconds: float = HOUR) -> None:
    """The last check of this person is this long ago."""
    identity = identity_of(service, provider)
    earlier = replace(identity, checked_at_seconds=identity.checked_at_seconds - seconds)
    in_redis(service, lambda connection: Identities(connection).save(earlier))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
