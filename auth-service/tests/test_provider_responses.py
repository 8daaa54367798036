"""Items E6 to E35: wrong responses of an identity provider, and of browsers that bring them."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from joserfc import jwk
from openid_provider import Change, OpenIdProvider, sign
from provider_users import CompanyUser, declare, declare_second, start_with_provider
from running_auth import StartService
from signing_in import Page, Request, sent_to_client
from starlette.responses import JSONResponse, RedirectResponse, Response

LOGIN = {"prompt": "login"}


@dataclass(frozen=True)
class Case:
    """`where` is what the provider changes; the page has this status and this heading."""

    item: str
    name: str
    where: str
    change: Change
    status: int
    heading: str

    def __str__(self) -> str:
        return f"{self.item} {self.name}"


def setting(**members: Any) -> Change:
    """Sets members; None removes one."""

    def change(all_members: dict[str, Any]) -> None:
        for name, value in members.items():
            if value is None:
                all_members.pop(name, None)
            else:
                all_members[name] = value

    return change


def answering(response: Callable[[], Any]) -> Change:
    return lambda _: response()


def compressed() -> Response:
    return Response(b"{}", media_type="application/json", headers={"content-encoding": "gzip"})


def signed_with(header: dict[str, Any], key: jwk.Key) -> Change:
    def change(members: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
        members.update(header)
        return lambda claims: sign(members, claims, key)

    return change


OTHER_KEY = jwk.RSAKey.generate_key(2048)
SECRET_KEY = jwk.OctKey.import_key("secret of auth-service: 100%, as a key of HS256")
FAILED = "The sign-in service reported a problem"
REFUSED = "This sign-in cannot be completed"
NOT_ALLOWED = "This account cannot be used here"
NOW = int(time.time())

CASES = [
    Case("E10", "state twice", "response", answering(lambda: "code=a&state=b&state=c"), 400, REFUSED),
    Case("E12", "an error of the provider", "response", setting(code=None, error="server_error"), 502, FAILED),
    Case("E12", "an error that is not a code", "response", setting(code=None, error="<script>x</script>"), 502, FAILED),
    Case("E11", "access denied", "response", setting(code=None, error="access_denied"), 403, "You did not sign in"),
    Case("E14", "no iss", "response", setting(iss=None), 400, REFUSED),
    Case("E14", "another iss", "response", setting(iss="http://localhost:1"), 400, REFUSED),
    Case("E17", "no code", "response", setting(code=None), 400, REFUSED),
    Case("E17", "a long code", "response", setting(code="a" * 4097), 400, REFUSED),
    Case("E17", "a line break", "response", setting(code="a\r\nb"), 400, REFUSED),
    Case("E21", "a redirect", "tokens", answering(lambda: RedirectResponse("/token", 307)), 502, FAILED),
    Case("E22", "not JSON", "tokens", answering(lambda: Response("<html>", media_type="text/html")), 502, FAILED),
    Case("E22", "a list", "tokens", answering(lambda: JSONResponse(["token"])), 502, FAILED),
    Case("E22", "100 KB", "tokens", setting(padding="x" * 100_000), 502, FAILED),
    Case("E22", "compressed", "tokens", answering(compressed), 502, FAILED),
    Case("E23", "no ID token", "tokens", setting(id_token=None), 502, FAILED),
    Case("E23", "an ID token that is a number", "tokens", setting(id_token=5), 502, FAILED),
    Case("E24", "alg none", "header", signed_with({"alg": "none"}, OTHER_KEY), 502, FAILED),
    Case("E24", "HS256", "header", signed_with({"alg": "HS256"}, SECRET_KEY), 502, FAILED),
    Case("E24", "RS512", "header", setting(alg="RS512"), 502, FAILED),
    Case("E24", "crit", "header", setting(crit=["exp"]), 502, FAILED),
    Case("E25", "another key with the same kid", "header", signed_with({}, OTHER_KEY), 502, FAILED),
    Case("E25", "unknown kid", "header", signed_with({"kid": "second"}, OTHER_KEY), 502, FAILED),
    Case("E25", "kid that is a number", "header", setting(kid=7), 502, FAILED),
    Case("E26", "iss with a slash", "id_token", lambda claims: claims.update(iss=claims["iss"] + "/"), 502, FAILED),
    Case("E26", "literal template", "id_token", setting(iss="http://localhost/{tenantid}/v2.0"), 502, FAILED),
    Case("E27", "another audience", "id_token", setting(aud="other"), 502, FAILED),
    Case("E27", "two audiences", "id_token", setting(aud=["auth-service", "other"]), 502, FAILED),
    Case("E27", "another azp", "id_token", setting(azp="other"), 502, FAILED),
    Case("E28", "expired", "id_token", setting(exp=NOW - 60), 502, FAILED),
    Case("E28", "no exp", "id_token", setting(exp=None), 502, FAILED),
    Case("E28", "issued in the future", "id_token", setting(iat=NOW + 1_000_000), 502, FAILED),
    Case("E28", "issued long ago", "id_token", setting(iat=NOW - 3600), 502, FAILED),
    Case("E28", "exp is text", "id_token", setting(exp=str(NOW + 1_000_000)), 502, FAILED),
    Case("E29", "no nonce", "id_token", setting(nonce=None), 502, FAILED),
    Case("E29", "another nonce", "id_token", setting(nonce="n"), 502, FAILED),
    Case("E30", "wrong at_hash", "id_token", setting(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), 502, FAILED),
    Case("E31", "no sub", "id_token", setting(sub=None), 502, FAILED),
    Case("E31", "empty sub", "id_token", setting(sub=""), 502, FAILED),
    Case("E31", "sub is a number", "id_token", setting(sub=7), 502, FAILED),
    Case("E31", "sub of 256 characters", "id_token", setting(sub="x" * 256), 502, FAILED),
    Case("E32", "userinfo about another person", "id_token", setting(sub="other"), 502, FAILED),
    Case("E35", "no group", "id_token", setting(groups=None), 403, NOT_ALLOWED),
    Case("E35", "another group", "id_token", setting(groups=["Staff", "staff "]), 403, NOT_ALLOWED),
    Case("E59", "1,001 groups", "id_token", setting(groups=["staff", *map(str, range(1000))]), 403, NOT_ALLOWED),
    Case("E54", "groups left out", "id_token", setting(groups=None, hasgroups=True), 403, NOT_ALLOWED),
    Case(
        "E54", "groups as a reference", "id_token", setting(groups=None, _claim_names={"groups": "s"}), 403, NOT_ALLOWED
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_response_is_a_page_and_signs_no_one_in(
    provider: OpenIdProvider, employee: CompanyUser, case: Case
) -> None:
    setattr(provider, f"change_{case.where}", case.change)
    answer = employee.sign_in_at_provider(Request("app"))
    assert (answer.status_code, f"<h1>{case.heading}</h1>" in answer.text) == (case.status, True), answer.text
    assert "<script>" not in answer.text
    assert "auth_session" not in employee.http.cookies
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("item", "error", "status", "heading"),
    [
        ("E18", "invalid_grant", 400, "The sign-in took too long"),
        ("E19", "invalid_client", 503, "The sign-in service does not accept this server"),
        ("E19", "unauthorized_client", 503, "The sign-in service does not accept this server"),
        ("E12", "server_error", 502, FAILED),
    ],
)
def test_an_error_of_the_token_endpoint(
    provider: OpenIdProvider, employee: CompanyUser, item: str, error: str, status: int, heading: str
) -> None:
    provider.token_error = error
    answer = employee.sign_in_at_provider(Request("app"))
    assert (answer.status_code, heading in answer.text) == (status, True), item
    assert "internal" not in answer.text, "the description of the provider"


def test_item_e20_an_error_of_the_server(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.change_tokens = answering(lambda: JSONResponse({}, status_code=503))
    assert employee.sign_in_at_provider(Request("app")).status_code == 503


def test_item_e25_a_key_that_is_used_for_the_first_time_is_fetched(
    provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims |= {"sub": secrets.token_hex(4)}
    connection = employee.service.app.state.parts.connections.find("company")
    first = provider.key
    provider.key = jwk.RSAKey.generate_key(2048, {"kid": "second"})
    try:
        connection.signing_keys.fetched_at_seconds = 0.0
        provider.change_header = setting(kid="second")
        assert Page(employee.sign_in_at_provider(Request("app")).text).action == "/oauth2/consent"
    finally:
        provider.key = first
        connection.signing_keys.fetched_at_seconds = 0.0


def test_item_e25_one_key_needs_no_key_id(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "one key"}
    provider.change_header = setting(kid=None)
    assert Page(employee.sign_in_at_provider(Request("app", LOGIN)).text).action == "/oauth2/consent"


def test_item_e6_without_a_session_prompt_none_is_answered_without_the_provider(
    provider: OpenIdProvider, employee: CompanyUser
) -> None:
    sent = sent_to_client(employee.open(Request("app", {"prompt": "none"}).path))
    assert (sent["error"], provider.requests) == ("login_required", [])


@pytest.mark.parametrize("state", [None, "", "x", "x.y", f"{'a' * 22}.{'b' * 43}", f"{'a' * 22}.{'b' * 43}x", "\x00"])
def test_items_e7_and_e13_an_unknown_state(employee: CompanyUser, state: str | None) -> None:
    for more in ({"code": "a"}, {"error": "access_denied"}):
        query = urlencode({**more, **({"state": state} if state is not None else {})})
        answer = employee.http.get(f"/oauth2/callback/company?{query}")
        assert (answer.status_code, REFUSED in answer.text) == (400, True)


def test_item_e8_the_response_in_another_browser(employee: CompanyUser, company_visitor: CompanyUser) -> None:
    address = employee.callback(Request("app"))
    refused = company_visitor.http.get(address)
    assert (refused.status_code, REFUSED in refused.text) == (400, True)
    assert "auth_session" not in company_visitor.http.cookies
    assert employee.http.get(address).status_code == 303, "the attempt does not use up the response"


def test_item_e9_a_response_is_used_once(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "item e9"}
    address = employee.callback(Request("app"))
    assert employee.http.get(address).status_code == 303
    again = employee.http.get(address)
    assert (again.status_code, REFUSED in again.text) == (400, True)
    assert Page(employee.open(Page(again.text).links["Continue"]).text).action == "/oauth2/consent"


def test_item_e15_the_response_of_another_provider(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    declaration = declare(provider) + declare_second(tmp_path)
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    user = CompanyUser(service, source="10.19.1.1")
    page = user.http.get(user.callback(Request("app")).replace("/company", "/partner"))
    assert (page.status_code, REFUSED in page.text) == (400, True)
    assert "auth_session" not in user.http.cookies
    user.http.close()


def test_item_e15_the_response_at_a_provider_that_is_not_declared(employee: CompanyUser) -> None:
    address = employee.callback(Request("app"))
    assert employee.http.get(address.replace("/company", "/partner")).status_code == 404
    assert employee.http.get(address).status_code == 303


@pytest.mark.parametrize("path", ["/oauth2/sign-in/unknown", "/oauth2/callback/unknown", "/oauth2/callback/%2e%2e"])
def test_item_e1_an_unknown_provider(employee: CompanyUser, path: str) -> None:
    answer = employee.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_item_e2_a_start_without_a_waiting_request(employee: CompanyUser, company_visitor: CompanyUser) -> None:
    assert employee.http.get("/oauth2/sign-in/company").status_code == 400
    page = employee.open(Request("app").path)
    address = Page(page.text).links["Continue with Company account"]
    assert company_visitor.http.get(address).status_code == 400


def test_item_e16_the_callback_accepts_get_only(employee: CompanyUser) -> None:
    answer = employee.http.post("/oauth2/callback/company", data={"code": "a", "state": "b"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_item_e33_the_client_asked_for_a_recent_sign_in(provider: OpenIdProvider, employee: CompanyUser) -> None:
    for auth_time in (None, NOW - 7200, "now", True):
        provider.change_id_token = setting(auth_time=auth_time)
        sent = sent_to_client(employee.sign_in_at_provider(Request("app", {"max_age": "60"})))
        assert sent["error"] == "login_required"
        assert "auth_session" not in employee.http.cookies


def test_an_old_sign_in_at_the_provider_is_old_here_too(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "long ago"}
    provider.change_id_token = setting(auth_time=NOW - 7200)
    employee.grant_with_provider(Request("app"))
    page = employee.open(Request("app", {"max_age": "3600"}).path)
    assert Page(page.text).action == "/oauth2/sign-in"


def test_item_e33_without_auth_time_a_session_is_never_recent(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "no auth_time"}
    provider.change_id_token = setting(auth_time=None)
    tokens = employee.tokens(Request("app", {"scope": "openid mcp.access"})).json()
    assert "auth_time" not in jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert "code" in sent_to_client(employee.open(Request("app", {"prompt": "none"}).path))
    silent = employee.open(Request("app", {"prompt": "none", "max_age": "300"}).path)
    assert sent_to_client(silent)["error"] == "login_required"


def test_a_retry_from_an_error_page_succeeds(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "second attempt"}
    provider.change_response = setting(code=None, error="access_denied")
    page = employee.sign_in_at_provider(Request("app"))
    links = Page(page.text).links
    provider.reset()
    provider.claims |= {"sub": "second attempt"}
    assert Page(employee.open(links["Other ways to sign in"]).text).action == "/oauth2/sign-in"
    assert Page(employee.open(links["Try again"]).text).action == "/oauth2/consent"


def test_item_e35_the_page_names_the_account_and_offers_another(
    provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims |= {"groups": [], "preferred_username": "<b>visitor@other.example</b>"}
    page = employee.sign_in_at_provider(Request("app"))
    assert "&lt;b&gt;visitor@other.example&lt;/b&gt;" in page.text
    provider.requests.clear()
    employee.http.get(_at(employee.http.get(Page(page.text).links["Use another account"])))
    assert provider.requests[0]["prompt"] == "select_account"


def test_another_account_does_not_replace_the_sign_in_that_the_client_asked_for(
    provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims |= {"groups": []}
    page = employee.sign_in_at_provider(Request("app", {"prompt": "login"}))
    answer = employee.http.get(Page(page.text).links["Use another account"])
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["prompt"] == "login select_account"


def _at(answer: httpx2.Response) -> str:
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["response_type"] == "code"
    return str(answer.headers["location"])
