"""/account: a user sees and ends sessions, connected apps and ways to sign in."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openid_provider import OpenIdProvider
from provider_users import (
    LINKED_PASSWORD,
    USUAL_RULES,
    CompanyUser,
    add_linked_account,
    declare,
    declare_second,
    in_redis,
    start_with_provider,
)
from reading_status_lists import is_revoked
from running_auth import Service, StartService
from signing_in import Page, Person, Request, redeem, refresh
from starlette.requests import Request as HttpRequest

from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.authorize.account_overview import ConnectedApp
from auth_service.web.language import Language
from auth_service.web.pages import Pages

ENTRY = re.compile(r"<li>(.*?)</li>", re.DOTALL)


def follow(person: Person, answer: httpx2.Response) -> httpx2.Response:
    """Follows redirects within the service, also those with its whole address."""
    while answer.status_code == 303:
        location = answer.headers["location"]
        answer = person.http.get(re.sub(r"^http://localhost:\d+", "", location))
    return answer


def account_page(person: Person, username: str = "demo", password: str = "demo") -> httpx2.Response:
    page = follow(person, person.http.get("/account"))
    if Page(page.text).action == "/oauth2/sign-in":
        fields = {**Page(page.text).fields, "username": username, "password": password, "action": "sign_in"}
        page = follow(person, person.http.post("/oauth2/sign-in", data=fields))
    assert page.status_code == 200, page.text
    return page


def entry(page: httpx2.Response, words: str) -> dict[str, str]:
    """The form of the entry that contains these words."""
    found = next(each for each in ENTRY.findall(page.text) if words in each)
    button = re.search(r'name="action" value="(\w+)"', found)
    return {**Page(found).fields, **({"action": button[1]} if button else {})}


def press(person: Person, fields: dict[str, str]) -> httpx2.Response:
    answer = person.http.post("/account", data=fields)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/account"
    return follow(person, answer)


def events(service: Service, event_type: str) -> list[dict[str, Any]]:
    folder = service.settings.security.audit_dir / "auth-service"
    lines = [line for path in folder.glob("*/security_audit.log") for line in path.read_text().splitlines()]
    return [event for event in map(json.loads, lines) if event["event_type"] == event_type]


def test_the_page_signs_in_without_consent_and_shows_this_browser(person: Person) -> None:
    page = account_page(person)
    assert str(page.url).endswith("/account")
    assert "demo" in Page(page.text).text
    assert "this browser" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "form-action 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_is_in_the_language_of_the_browser(people: Service, language: str) -> None:
    user = Person(f"http://127.0.0.1:{people.settings.port}", source="10.9.200.1", language=language)
    assert {"en": "Connected apps", "ko": "연결된 앱"}[language] in account_page(user).text
    user.http.close()


@pytest.mark.parametrize(("language", "name"), [("en", "Audit page"), ("ko", "감사 기록 페이지")])
def test_the_audit_page_is_named_in_the_language_of_the_page(language: str, name: str) -> None:
    app = ConnectedApp(
        client_id="audit-page",
        name="Audit page · 감사 기록 페이지",
        is_audit_page=True,
        resources=("http://localhost:8082/mcp",),
        scopes=("mcp.audit",),
        since="2026-11-03 09:00 UTC",
        has_tokens=True,
    )
    shown = {"account_name": "demo", "username": "demo", "apps": [app], "sessions": [], "methods": []}
    http = HttpRequest({"type": "http", "method": "GET", "path": "/account", "query_string": b"", "headers": []})
    page = Pages(issuer="http://localhost:8081").render(
        "account", Language(language), http, provider_names={}, csrf_token="t", **shown
    )
    assert f"<strong>{name}</strong>" in bytes(page.body).decode()


def test_an_app_is_disconnected_with_all_its_tokens(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "mcp.access offline_access"})
    tokens = redeem(people.http, request, person.grant(request)["code"]).json()
    page = account_page(person)
    assert "Example application" in page.text
    assert "mcp.access" in page.text
    fields = entry(page, "Example application")
    page = press(person, fields)
    assert "Example application" not in page.text
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert is_revoked(people, tokens["access_token"])
    assert Page(person.open(request.path).text).action == "/oauth2/consent"
    recorded = events(people, "account_change")
    press(person, fields)  # the second click
    assert events(people, "account_change") == recorded
    assert (recorded[-1]["action_taken"], recorded[-1]["client_id"]) == ("consent_revoked", "app")


def test_another_browser_is_signed_out(people: Service, person: Person) -> None:
    other = Person(f"http://127.0.0.1:{people.settings.port}", source="10.9.201.1")
    account_page(other)
    page = account_page(person)
    forms = [Page(each) for each in ENTRY.findall(page.text) if "end_session" in each and "this browser" not in each]
    assert forms
    for form in forms:
        press(person, {**form.fields, "action": "end_session"})
    assert Page(follow(other, other.http.get("/account")).text).action == "/oauth2/sign-in"
    assert "this browser" in account_page(person).text
    assert events(people, "account_change")[-1]["action_taken"] == "session_ended"
    other.http.close()


def test_the_session_of_this_browser_can_be_ended(person: Person) -> None:
    page = press(person, entry(account_page(person), "this browser"))
    assert Page(page.text).action == "/oauth2/sign-in"


def test_a_form_of_another_site_or_account_ends_nothing(people: Service, person: Person) -> None:
    request = Request("app")
    person.grant(request)
    fields = entry(account_page(person), "Example application")
    for token in ("", "0" * 64):
        answer = person.http.post("/account", data={**fields, "csrf_token": token})
        assert answer.status_code == 403
        assert Page(answer.text).links["Load the page again"] == "/account"
    assert "Example application" in account_page(person).text


def test_a_session_of_another_user_cannot_be_ended(person: Person, people: Service) -> None:
    fields = entry(account_page(person), "this browser")
    press(person, {**fields, "target": "0" * 64})
    press(person, {**fields, "action": "unknown"})
    assert "this browser" in account_page(person).text


def test_who_cancels_the_sign_in_is_not_sent_back_to_it(person: Person) -> None:
    assert person.http.get("/account?error=access_denied").status_code == 200


def test_the_code_of_the_page_cannot_be_redeemed(people: Service, person: Person) -> None:
    person.http.get("/account")
    page = follow(person, person.http.get("/account"))
    fields = {**Page(page.text).fields, "username": "demo", "password": "demo", "action": "sign_in"}
    answer = person.http.post("/oauth2/sign-in", data=fields)
    code = answer.headers["location"].partition("code=")[2].partition("&")[0]
    request = Request(f"{people.issuer}/account", {"redirect_uri": f"{people.issuer}/account"})
    assert redeem(people.http, request, code).json()["error"] == "invalid_grant"


@pytest.fixture
def two_providers(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> Iterator[CompanyUser]:
    """A user of a service with the providers `company` and `partner`."""
    declaration = declare(provider, more=USUAL_RULES + declare_second(tmp_path))
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    user = CompanyUser(service, source="10.16.1.1")
    yield user
    user.http.close()


@pytest.mark.parametrize("removed", ["", "company"], ids=["password", "provider"])
def test_removing_a_way_to_sign_in_ends_all_sessions(
    provider: OpenIdProvider, two_providers: CompanyUser, removed: str
) -> None:
    service, name = two_providers.service, "linked twice"
    subject = add_account_with_two_links(service, provider, name)
    page = account_page(two_providers, name, LINKED_PASSWORD)
    page = press(two_providers, entry(page, "at the provider" if removed else f"<span>{name}</span>"))
    assert Page(page.text).action == "/oauth2/sign-in"
    remaining = in_redis(service, lambda connection: Identities(connection).of_account(subject))
    assert [identity.provider for identity in remaining] == (["partner"] if removed else ["company", "partner"])
    has_password = in_redis(service, lambda connection: AccountStore(connection).password_hash(subject)) is not None
    assert has_password == bool(removed)
    assert events(service, "account_change")[-1]["reason"] == (removed or "password")


def add_account_with_two_links(service: Service, provider: OpenIdProvider, name: str) -> str:
    """A local account with a password that is linked to `name` at both providers; returns its `sub`."""
    subject = add_linked_account(service, provider, name)
    partner = Identity(
        provider="partner",
        issuer="http://localhost:9",
        subject=name,
        account=subject,
        label="at the partner",
        linked_at_seconds=2.0,
        checked_at_seconds=2.0,
    )
    in_redis(service, lambda connection: Identities(connection).link(partner))
    return subject


def test_of_two_providers_that_are_removed_at_once_one_stays(
    provider: OpenIdProvider, two_providers: CompanyUser
) -> None:
    for attempt in range(4):
        name = f"removes both, {attempt}"
        subject = add_account_with_two_links(two_providers.service, provider, name)
        fields = entry(account_page(two_providers, name, LINKED_PASSWORD), "at the partner")

        def remove(target: str, fields: dict[str, str] = fields) -> int:
            return two_providers.http.post("/account", data={**fields, "target": target}).status_code

        with ThreadPoolExecutor(2) as both:
            assert list(both.map(remove, ["company", "partner"])) == [303, 303]
        remaining = in_redis(
            two_providers.service, lambda connection, subject=subject: Identities(connection).of_account(subject)
        )
        assert len(remaining) == 1


def test_the_only_provider_cannot_be_removed_although_there_is_a_password(
    company: Service, provider: OpenIdProvider, employee: CompanyUser
) -> None:
    """Otherwise the user could sign in with the password after the provider has ended the access."""
    subject = add_linked_account(company, provider, "only one provider")
    page = account_page(employee, "only one provider", LINKED_PASSWORD)
    fields = entry(page, "<span>only one provider</span>")
    assert fields["action"] == "remove_method", "the password can be removed"
    assert "action" not in entry(page, "at the provider")
    press(employee, {**fields, "target": "company"})
    assert in_redis(company, lambda connection: Identities(connection).of_account(subject))


def test_the_last_way_to_sign_in_cannot_be_removed(
    company: Service, provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims |= {"sub": "account page", "groups": ["staff"]}
    employee.grant_with_provider(Request("app"))
    page = follow(employee, employee.http.get("/account"))
    assert page.text.count("Company account") == 2, "the session and the way to sign in, with the declared name"
    assert "remove_method" not in page.text
    fields = {**Page(page.text).fields, "action": "remove_method", "target": "company"}
    press(employee, fields)
    assert "this browser" in follow(employee, employee.http.get("/account")).text
