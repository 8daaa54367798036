"""A parameter without a value is treated as omitted, at every endpoint (RFC 6749 sections 3.1 and 3.2)."""

import pytest
from bad_input import DEMO, basic
from running_auth import Service
from signing_in import Page, Person, Request, redeem, refresh, sent_to_client

AUTHORIZE_OPTIONAL = (
    *("scope", "state", "resource", "nonce", "prompt", "max_age", "login_hint", "ui_locales", "id_token_hint"),
    *("response_mode", "request", "request_uri", "registration", "claims", "display", "acr_values", "unknown"),
)
TOKEN_OPTIONAL = (
    *("scope", "resource", "audience", "client_secret", "client_assertion", "client_assertion_type"),
    *("code", "redirect_uri", "code_verifier", "refresh_token", "unknown"),
)


@pytest.mark.parametrize("name", AUTHORIZE_OPTIONAL)
def test_authorize_ignores_an_empty_parameter(person: Person, name: str) -> None:
    page = person.open(Request("app", {name: ""}).path)
    assert (page.status_code, Page(page.text).action) == (200, "/oauth2/sign-in")


def test_authorize_ignores_a_scope_of_spaces(person: Person) -> None:
    page = person.open(Request("app", {"scope": "  "}).path)
    assert (page.status_code, Page(page.text).action) == (200, "/oauth2/sign-in")


@pytest.mark.parametrize("name", ["state", "client_id", "redirect_uri", "scope", "request"])
def test_an_empty_parameter_does_not_count_as_a_repetition(person: Person, name: str) -> None:
    page = person.open(f"{Request('app').path}&{name}=")
    assert (page.status_code, Page(page.text).action) == (200, "/oauth2/sign-in")


@pytest.mark.parametrize("name", ["code_challenge", "code_challenge_method", "response_type"])
def test_an_empty_required_parameter_is_missing(people: Service, name: str) -> None:
    answer = people.http.get(Request("app", {name: ""}).path)
    assert sent_to_client(answer)["error"] == "invalid_request"


def test_an_empty_state_is_not_returned(people: Service) -> None:
    answer = people.http.get(Request("app", {"state": "", "response_type": "token"}).path)
    assert "state" not in sent_to_client(answer)


@pytest.mark.parametrize("name", [*TOKEN_OPTIONAL, "client_id"])
def test_client_credentials_with_basic_ignore_an_empty_parameter(service: Service, name: str) -> None:
    form = {"grant_type": "client_credentials", name: ""}
    answer = service.http.post("/oauth2/token", data=form, headers=basic("mcp-client", "secret"))
    assert (answer.status_code, answer.json().get("scope")) == (200, "mcp.access"), answer.text


@pytest.mark.parametrize("name", ["grant_type", *TOKEN_OPTIONAL])
def test_an_empty_parameter_does_not_count_as_a_repetition_at_the_token_endpoint(service: Service, name: str) -> None:
    fields = "&".join(f"{key}={value}" for key, value in DEMO.items())
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = service.http.post("/oauth2/token", content=f"{fields}&{name}=&{name}", headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_public_client_may_send_an_empty_secret(people: Service, person: Person) -> None:
    request = Request("app", {"prompt": "consent"})
    empty = {"client_secret": "", "client_assertion": "", "client_assertion_type": "", "scope": "", "resource": ""}
    tokens = redeem(people.http, request, person.grant(request)["code"], **empty)
    assert tokens.status_code == 200, tokens.text
    again = refresh(people.http, "app", tokens.json()["refresh_token"], **empty)
    assert again.status_code == 200, again.text
    form = {"token": again.json()["refresh_token"], "token_type_hint": "", "client_id": "app", **empty}
    assert people.http.post("/oauth2/revoke", data=form).status_code == 200


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
def test_a_confidential_client_may_send_empty_parameters_with_basic(service: Service, path: str) -> None:
    token = service.http.post("/oauth2/token", data=DEMO).json()["access_token"]
    form = {"token": token, "client_id": "", "client_secret": "", "client_assertion": "", "token_type_hint": ""}
    answer = service.http.post(path, data=form, headers=basic("mcp-client", "secret"))
    assert answer.status_code == 200, answer.text


def test_an_empty_token_is_a_missing_token(service: Service) -> None:
    for path in ("/oauth2/introspect", "/oauth2/revoke"):
        answer = service.http.post(path, data={"token": ""}, headers=basic("mcp-client", "secret"))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_logout_ignores_empty_parameters(person: Person) -> None:
    person.grant(Request("app"))
    empty = "&".join(
        f"{name}=" for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "csrf_token")
    )
    asked = person.open(f"/oauth2/logout?{empty}")
    assert (asked.status_code, Page(asked.text).action) == (200, "/oauth2/logout")
    assert "You are signed out" in person.submit(asked, state="", post_logout_redirect_uri="").text
