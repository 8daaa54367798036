"""Items E70 to E77: a provider reports that a user has signed out there."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openid_provider import OpenIdProvider
from provider_users import USUAL_RULES, CompanyUser, declare, in_redis, start_with_provider, wait_until
from reading_status_lists import is_revoked
from running_auth import Service, StartService
from signing_in import Page, Request, redeem, refresh, sent_to_client

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ONLINE = Request("app")
OFFLINE = Request("app", {"scope": "mcp.access offline_access"})


def sign_in(provider: OpenIdProvider, user: CompanyUser, subject: str, *, sid: str | None = None) -> None:
    provider.claims = {"sub": subject, "groups": ["staff"], **({"sid": sid} if sid is not None else {})}
    user.grant_with_provider(ONLINE)


def refresh_token(user: CompanyUser, request: Request) -> str:
    """The refresh token of a grant that the session of the browser gives."""
    return user.tokens_of_session(request)["refresh_token"]


def log_out(user: CompanyUser, token: str, provider_id: str = "company") -> httpx2.Response:
    return user.http.post(f"/oauth2/backchannel-logout/{provider_id}", data={"logout_token": token})


def marks(service: Service, kind: str) -> set[str]:
    """The keys of stored sessions at the provider, or of stored sign-outs."""
    return set(in_redis(service, lambda connection: connection.keys(f"auth:{kind}:*")))


def is_signed_in(user: CompanyUser) -> bool:
    return Page(user.open(ONLINE.path).text).action != "/oauth2/sign-in"


def works(user: CompanyUser, token: str) -> bool:
    return refresh(user.http, "app", token).status_code == 200


@pytest.fixture
def company_ends_everything(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> Iterator[CompanyUser]:
    """A user of a service at which `on_logout` is `everything`."""
    declaration = declare(provider, more=USUAL_RULES + "    on_logout: everything\n")
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    user = CompanyUser(service, source="10.15.1.1")
    yield user
    user.http.close()


def test_a_logout_by_sid_ends_that_session_and_its_grants_without_offline_access(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    sign_in(provider, employee, "two browsers", sid="first browser")
    sign_in(provider, company_visitor, "two browsers", sid="second browser")
    access_token = employee.tokens_of_session(Request("app", {"scope": "openid mcp.access"}))["access_token"]
    online, offline = refresh_token(employee, ONLINE), refresh_token(employee, OFFLINE)
    elsewhere = refresh_token(company_visitor, ONLINE)
    assert not is_revoked(employee.service, access_token)
    answer = log_out(employee, provider.logout_token(sid="first browser"))
    assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "", "no-store")
    assert (is_signed_in(employee), is_signed_in(company_visitor)) == (False, True)
    assert not works(employee, online)
    assert is_revoked(employee.service, access_token), "also of a grant without refresh tokens"
    assert works(employee, offline), "Back-Channel Logout 1.0 section 2.7"
    assert works(company_visitor, elsewhere)


def test_a_logout_by_sub_ends_all_sessions_of_the_user_until_the_next_sign_in(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    sign_in(provider, employee, "logout by sub", sid="a session")
    sign_in(provider, company_visitor, "logout by sub")
    online, offline = refresh_token(company_visitor, ONLINE), refresh_token(company_visitor, OFFLINE)
    assert log_out(employee, provider.logout_token()).status_code == 200
    ended_at = time.time()
    assert (is_signed_in(employee), is_signed_in(company_visitor)) == (False, False)
    assert (works(company_visitor, online), works(company_visitor, offline)) == (False, True)
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    sign_in(provider, employee, "logout by sub", sid="another session")
    assert is_signed_in(employee)


@pytest.mark.parametrize("changes", [{}, {"sid": "everything ends"}], ids=["sub", "sid"])
def test_with_on_logout_everything_grants_with_offline_access_end_as_well(
    provider: OpenIdProvider, company_ends_everything: CompanyUser, changes: dict[str, str]
) -> None:
    user = company_ends_everything
    sign_in(provider, user, "everything ends", sid="everything ends")
    tokens = user.tokens_of_session(Request("app", {"scope": "openid offline_access mcp.access"}))
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert user.http.get("/oauth2/userinfo", headers=bearer).status_code == 200
    assert log_out(user, provider.logout_token(**changes)).status_code == 200
    assert not works(user, tokens["refresh_token"])
    assert user.http.get("/oauth2/userinfo", headers=bearer).status_code == 401


def test_access_tokens_of_a_grant_without_refresh_tokens_end(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "access token only", sid="access token only")
    tokens = employee.tokens_of_session(Request("app", {"scope": "openid mcp.access"}))
    assert "refresh_token" not in tokens
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert employee.http.get("/oauth2/userinfo", headers=bearer).status_code == 200
    log_out(employee, provider.logout_token(sid="access token only"))
    assert employee.http.get("/oauth2/userinfo", headers=bearer).status_code == 401


def test_a_code_that_was_issued_before_the_logout_is_refused(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "code, then logout", sid="code, then logout")
    code = sent_to_client(employee.open(ONLINE.path))["code"]
    log_out(employee, provider.logout_token(sid="code, then logout"))
    refused = redeem(employee.http, ONLINE, code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_session_that_ended_during_the_sign_in_does_not_begin(
    provider: OpenIdProvider, employee: CompanyUser
) -> None:
    provider.claims = {"sub": "logout during sign-in", "groups": ["staff"], "sid": "ended early"}
    assert log_out(employee, provider.logout_token(sub=None, sid="ended early")).status_code == 200
    employee.sign_in_at_provider(ONLINE)
    assert not is_signed_in(employee)


def test_a_sign_in_that_began_before_a_logout_by_sub_does_not_end_after_it(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    sign_in(provider, employee, "response that is held back")
    callback = company_visitor.callback(ONLINE)
    assert log_out(employee, provider.logout_token()).status_code == 200
    ended_at = time.time()
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    assert company_visitor.http.get(callback).status_code == 400
    assert not is_signed_in(company_visitor)
    sign_in(provider, company_visitor, "response that is held back")
    assert is_signed_in(company_visitor)


def test_a_grant_that_outlives_the_session_of_the_browser_ends(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "session expired", sid="session expired")
    token = refresh_token(employee, ONLINE)
    before = marks(company, "provider-session")
    in_redis(company, lambda connection: connection.delete(*before))
    assert log_out(employee, provider.logout_token(sid="session expired")).status_code == 200
    assert not works(employee, token)


def test_a_sign_out_is_stored_as_long_as_it_is_needed(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "stored sign-outs", sid="stored sign-out")
    settings, known = company.settings, marks(company, "provider-logout")
    for changes, seconds in (
        ({"sid": "stored sign-out"}, settings.session_lifetime_seconds),
        ({"sid": "never seen", "sub": None}, settings.refresh_absolute_lifetime_seconds),
    ):
        log_out(employee, provider.logout_token(**changes))
        (key,) = marks(company, "provider-logout") - known
        remaining = in_redis(company, lambda connection, key=key: connection.ttl(key))
        assert seconds - 600 < remaining <= seconds
        known.add(key)


def test_the_audit_trail_names_the_user_and_refusals(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "logout on record", sid="logout on record")
    log_out(employee, provider.logout_token(sid="logout on record"))
    log_out(employee, "not a token")
    lines = [
        json.loads(line)
        for path in company.settings.security.audit_dir.rglob("security_audit.log")
        for line in path.read_text().splitlines()
    ]
    events = [line for line in lines if line["event_type"] == "provider_logout"]
    ended = [event for event in events if event["action_taken"] == "signed_out"][-1]
    assert (ended["user_id"][:2], ended["reason"]) == ("u_", "company")
    assert events[-1]["reason"] == "provider_bad_logout_token"


FORMS = {
    "missing": {"other": "x"},
    "twice": [("logout_token", "a"), ("logout_token", "b")],
    "empty": {"logout_token": ""},
    "malformed": {"logout_token": "a.b.c"},
    "long": {"logout_token": "a" * 40_000},
}


@pytest.mark.parametrize("case", FORMS)
def test_item_e70_a_request_without_one_logout_token(employee: CompanyUser, case: str) -> None:
    form = FORMS[case]
    fields = {name: [value for key, value in form if key == name] for name, _ in form} if case == "twice" else form
    answer = employee.http.post("/oauth2/backchannel-logout/company", data=fields)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    as_json = employee.http.post("/oauth2/backchannel-logout/company", json={"logout_token": "x"})
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")


now = int(time.time())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "E71 another issuer": {"iss": "https://sso.example.com"},
    "E71 issuer with a slash": {"iss": "slash"},
    "E71 another client": {"aud": "another client"},
    "E71 expired": {"exp": now - 100},
    "E71 without exp": {"exp": None},
    "E71 exp without end": {"exp": 10**400},
    "E71 issued long ago": {"iat": now - 400},
    "E71 issued in the future": {"iat": now + 1_000_000},
    "E71 without iat": {"iat": None},
    "E72 nonce": {"nonce": "x"},
    "E72 empty nonce": {"nonce": ""},
    "E73 without events": {"events": None},
    "E73 another event": {"events": {"https://example.com/event": {}}},
    "E73 event that is not an object": {"events": {EVENT: True}},
    "E73 events as a list": {"events": [EVENT]},
    "E74 neither sub nor sid": {"sub": None},
    "E74 sub that is not text": {"sub": 5},
    "E74 empty sid": {"sid": ""},
    "E75 at_hash": {"at_hash": "x"},
    "E76 without jti": {"jti": None},
    "E76 jti that is not text": {"jti": ["x"]},
}


@pytest.mark.parametrize("case", BAD_CLAIMS)
def test_items_e71_to_e76_a_logout_token_with_wrong_claims(
    provider: OpenIdProvider, employee: CompanyUser, case: str
) -> None:
    sign_in(provider, employee, "wrong logout tokens")
    changes = dict(BAD_CLAIMS[case])
    if changes.get("iss") == "slash":
        changes["iss"] = provider.issuer + "/"
    answer = log_out(employee, provider.logout_token(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert is_signed_in(employee)


BAD_HEADERS = {
    "E71 none": {"alg": "none"},
    "E71 unknown key": {"kid": "another"},
    "E71 extension": {"crit": ["exp"]},
    "E75 access token": {"typ": "at+jwt"},
    "E75 typ that is not text": {"typ": 1},
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_items_e71_and_e75_a_logout_token_with_a_wrong_header(
    provider: OpenIdProvider, employee: CompanyUser, case: str
) -> None:
    sign_in(provider, employee, "wrong logout tokens")
    assert log_out(employee, provider.logout_token(BAD_HEADERS[case])).status_code == 400
    assert is_signed_in(employee)


def test_item_e71_a_changed_signature(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "wrong logout tokens")
    head, claims, _ = provider.logout_token().split(".")
    other = provider.logout_token().split(".")[2]
    assert log_out(employee, f"{head}.{claims}.{other}").status_code == 400
    assert is_signed_in(employee)


def test_item_e75_an_id_token_is_not_a_logout_token(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "wrong logout tokens")
    assert log_out(employee, provider.id_token("x")).status_code == 400
    assert log_out(employee, provider.id_token(None)).status_code == 400
    assert is_signed_in(employee)


def test_item_e76_a_logout_token_counts_once(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "item e76", sid="item e76")
    token = provider.logout_token(sid="item e76")
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: log_out(employee, token).status_code, range(3)))
    assert sorted(answers) == [200, 400, 400]


def test_item_e77_an_unknown_session_or_user(provider: OpenIdProvider, employee: CompanyUser) -> None:
    sign_in(provider, employee, "item e77", sid="item e77")
    for changes in ({"sid": "unknown"}, {"sub": "unknown"}, {"sub": None, "sid": "unknown"}):
        assert log_out(employee, provider.logout_token(**changes)).status_code == 200
    assert is_signed_in(employee)


def test_a_session_of_another_user_is_not_ended(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    sign_in(provider, employee, "one user", sid="session of one user")
    sign_in(provider, company_visitor, "another user", sid="session of another user")
    assert log_out(employee, provider.logout_token(sid="session of one user")).status_code == 400
    assert is_signed_in(employee)


def test_keys_that_are_not_available(
    start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any], provider: OpenIdProvider
) -> None:
    service = start_with_provider(start_service, tmp_path, declare(OpenIdProvider(port=9)), redis_url=own_redis[0])
    answer = service.http.post("/oauth2/backchannel-logout/company", data={"logout_token": provider.logout_token()})
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "30"


def test_other_addresses_and_methods(provider: OpenIdProvider, employee: CompanyUser) -> None:
    assert log_out(employee, provider.logout_token(), "unknown").status_code == 404
    assert employee.http.get("/oauth2/backchannel-logout/company").status_code == 405
    operation = employee.http.get("/openapi.json").json()["paths"]["/oauth2/backchannel-logout/{provider}"]["post"]
    form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["logout_token"]
    assert {"200", "400", "503"} <= operation["responses"].keys()
