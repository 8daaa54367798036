"""mcp.audit for clients that registered themselves, and scopes that are not granted."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import redis as redis_client
from redis.asyncio import Redis
from running_auth import Service
from signing_in import CALLBACK, Page, Person, Request, redeem, refresh, sent_to_client

from auth_service.accounts.account import Account, Role
from auth_service.accounts.passwords import Passwords
from auth_service.accounts.store import AccountStore

PASSWORD = "a pass phrase of some length"
ASKED = "mcp.access mcp.audit calendar.read offline_access"


@pytest.fixture
def client_id(people: Service) -> str:
    metadata = {
        "client_name": "Editor",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    answer = people.http.post("/oauth2/register", json=metadata, headers={"x-forwarded-for": "10.5.0.1"})
    return answer.json()["client_id"]


@pytest.fixture
async def clerk(people: Service) -> Any:
    """Stores an account with the given changes."""
    async with Redis.from_url(people.settings.redis_url, decode_responses=True) as redis:
        store = AccountStore(redis)
        account = Account(subject="u_clerk_of_audit", username="audit-clerk", name="Clerk")

        async def save(*roles: Role) -> None:
            changed = Account(subject=account.subject, username=account.username, name="Clerk", roles=frozenset(roles))
            if not await store.add(changed, await Passwords().hash(PASSWORD)):
                await store.change(account.subject, lambda _: changed)

        yield save
        await store.delete(account)
        await redis.delete(f"auth:consent:{account.subject}")


@pytest.fixture
def forget_consents(people: Service) -> Iterator[None]:
    """Deletes the consents of the demo user, who is an auditor."""
    yield
    with redis_client.Redis.from_url(people.settings.redis_url) as store:
        for key in store.scan_iter("auth:consent:*"):
            store.delete(key)


def tokens_of(people: Service, request: Request, code: str) -> dict[str, Any]:
    answer = redeem(people.http, request, code)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("forget_consents")
def test_an_auditor_may_grant_the_audit_scope_to_a_self_registered_client(
    people: Service, person: Person, client_id: str
) -> None:
    """The step-up of an MCP client: first without it, then with it."""
    first = Request(client_id, {"scope": "mcp.access"})
    assert tokens_of(people, first, person.grant(first)["code"])["scope"] == "mcp.access"
    more = Request(client_id, {"scope": ASKED})
    page = person.open(more.path)
    assert "Read the audit trail of all users" in Page(page.text).text
    tokens = tokens_of(people, more, person.grant(more)["code"])
    assert tokens["scope"] == "mcp.access mcp.audit offline_access"
    assert refresh(people.http, client_id, tokens["refresh_token"], scope=ASKED).json()["scope"] == tokens["scope"]


@pytest.mark.anyio
async def test_only_auditors_are_offered_the_audit_scope(
    people: Service, person: Person, client_id: str, clerk: Any
) -> None:
    await clerk()
    request = Request(client_id, {"scope": ASKED})
    page = person.sign_in(person.open(request.path), "audit-clerk", PASSWORD)
    assert "audit trail" not in Page(page.text).text
    tokens = tokens_of(people, request, sent_to_client(person.allow(page))["code"])
    assert tokens["scope"] == "mcp.access offline_access"
    again = refresh(people.http, client_id, tokens["refresh_token"], scope=ASKED)
    assert (again.status_code, again.json().get("scope")) == (200, "mcp.access offline_access"), again.text
    token = jwt.decode(again.json()["access_token"], options={"verify_signature": False})
    assert token["scope"] == "mcp.access offline_access"
    wider = refresh(people.http, client_id, again.json()["refresh_token"], scope=f"{ASKED} mcp.decrypt")
    assert wider.json()["error"] == "invalid_scope", "what was never asked for is refused (RFC 6749 section 6)"


@pytest.mark.anyio
async def test_a_user_who_loses_the_role_loses_the_scope_at_the_next_refresh(
    people: Service, person: Person, client_id: str, clerk: Any
) -> None:
    await clerk(Role.AUDITOR)
    request = Request(client_id, {"scope": ASKED})
    page = person.sign_in(person.open(request.path), "audit-clerk", PASSWORD)
    tokens = tokens_of(people, request, sent_to_client(person.allow(page))["code"])
    assert "mcp.audit" in tokens["scope"]
    await clerk()
    again = refresh(people.http, client_id, tokens["refresh_token"])
    assert (again.status_code, again.json().get("scope")) == (200, "mcp.access offline_access"), again.text


@pytest.mark.usefixtures("forget_consents")
def test_the_audit_scope_can_be_granted_to_a_client_that_was_stored_without_it(
    people: Service, person: Person, client_id: str
) -> None:
    """The current declaration decides what a self-registered client may request."""
    with redis_client.Redis.from_url(people.settings.redis_url, decode_responses=True) as store:
        (key,) = [key for key in store.scan_iter("auth:client:*") if client_id in key]
        document = str(store.get(key))
        assert '"mcp.audit"' in document
        store.set(key, document.replace(',"mcp.audit"', "").replace('"mcp.audit",', ""), keepttl=True)
        assert '"mcp.audit"' not in str(store.get(key))
    request = Request(client_id, {"scope": "mcp.access mcp.audit"})
    assert tokens_of(people, request, person.grant(request)["code"])["scope"] == "mcp.access mcp.audit"
