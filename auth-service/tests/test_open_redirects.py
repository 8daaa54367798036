"""A self-registered client cannot use this server as an open redirector (RFC 9700 section 4.11.2)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from openid_provider import OpenIdProvider
from provider_users import CompanyUser
from running_auth import Service
from signing_in import CALLBACK, Page, Person, Request, redeem, sent_to_client

SITE = "https://site.example/cb"
BYE = "https://site.example/bye"

Register = Callable[..., str]


@pytest.fixture
def register(people: Service) -> Register:
    def send(**changes: Any) -> str:
        metadata = {
            "client_name": "Some site",
            "redirect_uris": [SITE],
            "post_logout_redirect_uris": [BYE, "http://localhost/bye"],
            "token_endpoint_auth_method": "none",
            **changes,
        }
        answer = people.http.post("/oauth2/register", json=metadata, headers={"x-forwarded-for": "10.6.0.1"})
        assert answer.status_code == 201, answer.text
        return answer.json()["client_id"]

    return send


ERRORS: tuple[dict[str, str | None], ...] = (
    {"response_type": "token"},
    {"prompt": "none"},
    {"scope": "nothing.known"},
    {"resource": "https://elsewhere.example/mcp"},
    {"code_challenge": None},
    {"request": "e30.e30."},
)


@pytest.mark.parametrize("changes", ERRORS, ids=str)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_an_error_of_a_self_registered_client_is_a_page_that_names_the_address(
    people: Service, register: Register, changes: dict[str, str | None], language: str
) -> None:
    request = Request(register(), {"redirect_uri": SITE, "ui_locales": language, **changes})
    answer = people.http.get(request.path)
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    ((text, link),) = Page(answer.text).links.items()
    assert text == {"en": "Go to site.example", "ko": "site.example 주소로 이동"}[language]
    assert link.startswith(f"{SITE}?error=")
    assert "&state=some%20state&iss=" in link
    assert link.partition("?error=")[2].partition("&")[0] in answer.text.partition("<details>")[2]


@pytest.mark.parametrize("redirect_uri", [CALLBACK, "http://localhost:50001/cb"])
def test_an_error_is_redirected_to_a_loopback_address(people: Service, register: Register, redirect_uri: str) -> None:
    client_id = register(redirect_uris=[redirect_uri])
    answer = people.http.get(Request(client_id, {"redirect_uri": redirect_uri, "prompt": "none"}).path)
    assert sent_to_client(answer)["error"] == "login_required"


def test_an_error_for_a_private_use_scheme_is_a_page(people: Service, register: Register) -> None:
    uri = "cursor://anysphere.cursor-mcp/oauth/callback"
    answer = people.http.get(Request(register(redirect_uris=[uri]), {"redirect_uri": uri, "prompt": "none"}).path)
    assert Page(answer.text).links.keys() == {"Go to cursor:"}


def test_an_error_is_redirected_for_a_user_with_a_consent(register: Register, person: Person) -> None:
    client_id = register()
    silent = Request(client_id, {"redirect_uri": SITE, "prompt": "none", "scope": "mcp.access mcp.decrypt"})
    person.grant(Request("app"))
    assert person.open(silent.path).status_code == 400, "signed in, but this client was never allowed anything"
    assert "code" in person.grant(Request(client_id, {"redirect_uri": SITE}))
    assert sent_to_client(person.open(silent.path))["error"] == "consent_required"


def test_cancelling_redirects_to_the_client(register: Register, person: Person) -> None:
    page = person.open(Request(register(), {"redirect_uri": SITE}).path)
    assert person.submit(page, action="cancel").headers["location"].startswith(f"{SITE}?error=access_denied")


@pytest.mark.parametrize(
    ("changes", "claims"),
    [({"scope": "mcp.audit"}, {}), ({}, {"groups": ["guest"]}), ({"max_age": "60"}, {"auth_time": 1})],
    ids=str,
)
def test_a_trip_to_an_identity_provider_does_not_lead_to_an_unverified_address(
    employee: CompanyUser, provider: OpenIdProvider, changes: dict[str, str], claims: dict[str, Any]
) -> None:
    """Neither the provider nor this server has asked the user anything."""
    metadata = {"redirect_uris": [SITE], "token_endpoint_auth_method": "none"}
    client_id = employee.http.post("/oauth2/register", json=metadata).json()["client_id"]
    provider.claims |= {"sub": f"led away, {changes}", **claims}
    page = employee.sign_in_at_provider(Request(client_id, {"redirect_uri": SITE, "scope": "mcp.access", **changes}))
    assert page.status_code == 400
    ((text, link),) = Page(page.text).links.items()
    assert (text, link.partition("=")[0]) == ("Go to site.example", f"{SITE}?error")


def logout(**parameters: str) -> str:
    return f"/oauth2/logout?{urlencode(parameters)}"


def test_logout_does_not_redirect_to_an_unverified_address(register: Register, person: Person) -> None:
    client_id = register()
    asked = logout(client_id=client_id, post_logout_redirect_uri=BYE, state="a b")
    page = person.open(asked)
    assert page.status_code == 200
    assert Page(page.text).links == {"Go to site.example": f"{BYE}?state=a%20b"}
    person.grant(Request("app"))
    question = person.open(asked)
    assert (question.status_code, Page(question.text).action) == (200, "/oauth2/logout")
    done = person.submit(question)
    assert (done.status_code, list(Page(done.text).links)) == (200, ["Go to site.example"])
    at_home = logout(client_id=client_id, post_logout_redirect_uri="http://localhost:5000/bye")
    assert person.open(at_home).headers["location"] == "http://localhost:5000/bye"


def test_logout_redirects_a_user_with_a_consent(people: Service, register: Register, person: Person) -> None:
    request = Request(register(), {"redirect_uri": SITE, "scope": "openid"})
    tokens = redeem(people.http, request, person.grant(request)["code"]).json()
    asked = logout(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)
    answer = person.open(asked)
    assert (answer.status_code, answer.headers["location"]) == (303, BYE)
    late = person.open(asked)
    assert (late.status_code, list(Page(late.text).links)) == (200, ["Go to site.example"])


@pytest.mark.parametrize("more", [{}, {"post_logout_redirect_uri": "https://app.example/bye"}], ids=str)
def test_logout_refuses_a_client_that_is_not_the_one_of_the_hint(
    people: Service, person: Person, more: dict[str, str]
) -> None:
    """RP-Initiated Logout 1.0 section 2: the provider MUST verify that the two match."""
    request = Request("app", {"scope": "openid"})
    token = redeem(people.http, request, person.grant(request)["code"]).json()["id_token"]
    refused = person.open(logout(id_token_hint=token, client_id="other", **more))
    assert (refused.status_code, "location" in refused.headers) == (400, False)
    silent = person.open(Request("app", {"prompt": "none", "scope": "openid"}).path)
    assert "code" in sent_to_client(silent), "no user was signed out"
    assert "location" in person.open(logout(id_token_hint=token, client_id="app", **more)).headers or not more
