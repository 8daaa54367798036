"""Items E63 to E69: the provider is asked again about users, at a refresh and in the background."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from openid_provider import CLIENT_ID, OpenIdProvider
from provider_users import HOUR, CompanyUser, identity_of, in_redis, let_time_pass, wait_until
from running_auth import Service
from signing_in import Page, Request, refresh
from starlette.responses import JSONResponse

from auth_service.declared_providers import ProviderKind
from auth_service.federation.gone_accounts import says_account_is_gone

OFFLINE = Request("app", {"scope": "mcp.access mcp.decrypt"})


def sign_in(provider: OpenIdProvider, user: CompanyUser, subject: str) -> str:
    """The refresh token of a person who has just signed in."""
    provider.claims |= {"sub": subject, "groups": ["staff", "clear"]}
    return user.tokens(OFFLINE).json()["refresh_token"]


def outcome(answer: httpx2.Response) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, body.get("error", body.get("scope"))


def test_a_check_is_made_when_it_is_due_and_not_before(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token, before = sign_in(provider, employee, "due"), provider.refreshed
    token = refresh(employee.http, "app", token).json()["refresh_token"]
    assert provider.refreshed == before
    let_time_pass(company, provider)
    token = refresh(employee.http, "app", token).json()["refresh_token"]
    assert provider.refreshed == before + 1
    refresh(employee.http, "app", token)
    assert provider.refreshed == before + 1


def test_items_e63_and_e64_a_lost_group_narrows_the_next_refresh(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "item e63")
    for groups, scope in ((["staff"], "mcp.access"), (["staff", "clear"], "mcp.access mcp.decrypt")):
        provider.claims |= {"groups": groups}
        let_time_pass(company, provider)
        answer = refresh(employee.http, "app", token)
        assert outcome(answer) == (200, scope)
        token = answer.json()["refresh_token"]
    provider.claims |= {"groups": ["guest"]}
    let_time_pass(company, provider)
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")


@pytest.mark.parametrize("change", ["gone", "not allowed"])
def test_a_user_who_is_gone_loses_sessions_and_families(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, change: str
) -> None:
    token = sign_in(provider, employee, f"leaver, {change}")
    let_time_pass(company, provider)
    if change == "gone":
        provider.token_error, provider.description = "invalid_grant", "account not found"
    else:
        provider.claims |= {"groups": ["others"]}
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")
    assert Page(employee.open(Request("app").path).text).action == "/oauth2/sign-in"
    provider.reset()
    provider.claims |= {"sub": f"leaver, {change}"}
    ended_at = time.time()
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    assert "code" in employee.grant_with_provider(Request("app"))
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant"), "ended for good"


@pytest.mark.parametrize("error", ["invalid_grant", "interaction_required", "login_required"])
def test_after_a_session_is_over_families_wait_for_the_next_sign_in(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, error: str
) -> None:
    token = sign_in(provider, employee, f"session over, {error}")
    let_time_pass(company, provider)
    provider.token_error = error
    for _ in range(2):
        assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")
    assert Page(employee.open(Request("app").path).text).action == "/oauth2/sign-in"
    provider.token_error = None
    employee.grant_with_provider(Request("app"))
    assert outcome(refresh(employee.http, "app", token)) == (200, "mcp.access mcp.decrypt")


def test_a_provider_that_does_not_answer_is_waited_for_until_twice_the_interval(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "outage")
    provider.is_down = True
    let_time_pass(company, provider, HOUR + 60)
    answer = refresh(employee.http, "app", token)
    assert answer.status_code == 200
    let_time_pass(company, provider, HOUR)
    refused = refresh(employee.http, "app", answer.json()["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
    assert refused.headers["retry-after"] == "30"


def test_a_copied_refresh_token_is_found_while_the_provider_does_not_answer(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "copied in an outage")
    following = refresh(employee.http, "app", token).json()["refresh_token"]
    stored_response = f"auth:refresh-response:{token.partition('.')[0]}:1"
    in_redis(company, lambda connection: connection.delete(stored_response))  # the grace period ends
    provider.is_down = True
    let_time_pass(company, provider, 3 * HOUR)
    assert refresh(employee.http, "app", following).status_code == 503
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")
    assert outcome(refresh(employee.http, "app", following)) == (400, "invalid_grant"), "the family is revoked"


def test_item_e66_two_refreshes_at_once_ask_the_provider_once(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token, before = sign_in(provider, employee, "item e66"), provider.refreshed
    let_time_pass(company, provider)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: refresh(employee.http, "app", token), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert provider.refreshed == before + 1


def test_item_e67_the_rotated_token_of_the_provider_is_kept_encrypted(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "item e67")
    first = identity_of(company, provider).refresh_token
    let_time_pass(company, provider)
    refresh(employee.http, "app", token)
    second = identity_of(company, provider).refresh_token
    assert first != second
    for stored in (first, second):
        assert stored is not None
        assert re.match(r"enc:v1:", stored)
        assert "upstream" not in stored


def test_item_e67_a_rotated_token_is_kept_if_the_check_fails_after_it(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token, before = sign_in(provider, employee, "rotated, then a fault"), provider.refreshed
    let_time_pass(company, provider)
    provider.change_userinfo = lambda _: JSONResponse({}, status_code=429)
    token = refresh(employee.http, "app", token).json()["refresh_token"]
    assert not identity_of(company, provider).must_sign_in
    provider.change_userinfo = lambda _: None
    assert outcome(refresh(employee.http, "app", token)) == (200, "mcp.access mcp.decrypt")
    assert provider.refreshed == before + 2


@pytest.mark.parametrize(("userinfo", "expected"), [({}, 400), ({"groups": ["staff"]}, 200), ({"groups": ["x"]}, 400)])
def test_without_an_id_token_the_claims_of_userinfo_count_if_they_are_complete(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, userinfo: dict[str, Any], expected: int
) -> None:
    token = sign_in(provider, employee, f"no ID token, {userinfo}")
    let_time_pass(company, provider)
    provider.userinfo, provider.change_tokens = userinfo, lambda members: members.pop("id_token")
    answer = refresh(employee.http, "app", token)
    assert answer.status_code == expected
    if expected == 400:
        subject = provider.claims["sub"]
        provider.reset()
        provider.claims |= {"sub": subject}
        employee.grant_with_provider(Request("app"))
        assert outcome(refresh(employee.http, "app", token)) == (200, "mcp.access"), "the family has waited"
    else:
        assert answer.json()["scope"] == "mcp.access"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"groups": None, "hasgroups": True}, "groups_left_out"),
        ({"groups": [str(number) for number in range(1001)]}, "claim_too_large"),
        ({"groups": ["others"]}, "not_allowed"),
    ],
)
def test_a_check_records_the_same_reason_as_a_sign_in_with_these_claims(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, claims: dict[str, Any], reason: str
) -> None:
    token = sign_in(provider, employee, f"recorded, {reason}")
    let_time_pass(company, provider)
    provider.claims |= claims
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")
    account = identity_of(company, provider).account
    journal = next(company.settings.security.audit_dir.rglob("security_audit.log")).read_text()
    events = [json.loads(line) for line in journal.splitlines()]
    recorded = [each for each in events if each["event_type"] == "account_recheck" and each["user_id"] == account]
    assert [each["reason"] for each in recorded] == [reason]


def test_a_check_that_took_too_long_leaves_the_lock_of_another_request(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "slow check")
    let_time_pass(company, provider)
    lock = f"auth:recheck-lock:{identity_of(company, provider).key}"

    def let_the_lock_expire(_: dict[str, Any]) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(in_redis, company, lambda connection: connection.set(lock, "of another request")).result()

    provider.change_tokens = let_the_lock_expire
    assert refresh(employee.http, "app", token).status_code == 200
    assert in_redis(company, lambda connection: connection.getdel(lock)) == "of another request"


def test_item_e68_without_a_token_of_the_provider_a_day_is_the_limit(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.gives_refresh_tokens = False
    token = sign_in(provider, employee, "item e68")
    let_time_pass(company, provider, 23 * HOUR)
    answer = refresh(employee.http, "app", token)
    assert answer.status_code == 200
    let_time_pass(company, provider, HOUR)
    assert outcome(refresh(employee.http, "app", answer.json()["refresh_token"])) == (400, "invalid_grant")


def test_another_person_in_the_refreshed_token_is_not_accepted(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    token = sign_in(provider, employee, "one person")
    let_time_pass(company, provider)
    provider.claims |= {"sub": "another person"}
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")


def test_the_background_finds_a_user_who_is_gone(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "leaver in the background")
    let_time_pass(company, provider)
    provider.token_error, provider.description = "invalid_grant", "account not found"
    key = identity_of(company, provider).key
    in_redis(company, lambda connection: connection.zadd("auth:recheck:company", {key: 1}))
    wait_until(lambda: identity_of(company, provider).must_sign_in)  # the service looks every few seconds
    assert Page(employee.open(Request("app").path).text).action == "/oauth2/sign-in"
    wait_until(lambda: in_redis(company, lambda connection: connection.zscore("auth:recheck:company", key)) is None)


def test_one_identity_that_cannot_be_read_does_not_stop_the_checks_of_others(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "leaver behind another")
    let_time_pass(company, provider)
    provider.token_error, provider.description = "invalid_grant", "account not found"
    key = identity_of(company, provider).key
    in_redis(company, lambda connection: connection.set("auth:identity:unreadable", "{}"))
    in_redis(company, lambda connection: connection.zadd("auth:recheck:company", {"unreadable": 1, key: 2}))
    wait_until(lambda: identity_of(company, provider).must_sign_in)
    assert in_redis(company, lambda connection: connection.zscore("auth:recheck:company", "unreadable")) > time.time()
    in_redis(company, lambda connection: connection.delete("auth:identity:unreadable"))


UNUSABLE_CLAIMS = {
    "number": {"exp": 10**400},
    "issuer": {"iss": ["https://sso.example.com"]},
    "party": {"azp": [CLIENT_ID]},
    "text": {"name": "\ud800"},
}


@pytest.mark.parametrize("case", UNUSABLE_CLAIMS)
def test_an_unusable_value_in_a_refreshed_token_is_a_bad_response(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, case: str
) -> None:
    token = sign_in(provider, employee, f"unusable {case}")
    let_time_pass(company, provider)
    provider.change_id_token = lambda claims: claims.update(UNUSABLE_CLAIMS[case])
    assert refresh(employee.http, "app", token).status_code == 200, "as without an answer"


@pytest.mark.parametrize("description", [123, {"code": 1}, ["account not found"]])
def test_a_description_that_is_not_text_asks_for_a_sign_in(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, description: Any
) -> None:
    token = sign_in(provider, employee, f"description {description}")
    let_time_pass(company, provider)
    provider.token_error, provider.description = "invalid_grant", description
    assert outcome(refresh(employee.http, "app", token)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("kind", "description", "is_gone"),
    [
        (ProviderKind.ENTRA, "AADSTS50057: The user account is disabled.", True),
        (ProviderKind.ENTRA, "AADSTS700082: The refresh token has expired due to inactivity.", False),
        (ProviderKind.ENTRA, "AADSTS50076: you must use multi-factor authentication", False),
        (ProviderKind.KEYCLOAK, "User disabled", True),
        (ProviderKind.KEYCLOAK, "Session not active", False),
        (ProviderKind.OKTA, "The refresh token is invalid or expired.", False),
        (ProviderKind.GOOGLE, "Token has been expired or revoked.", False),
        (ProviderKind.OIDC, None, False),
    ],
)
def test_what_the_vendors_say_about_accounts(kind: ProviderKind, description: str | None, is_gone: bool) -> None:
    assert says_account_is_gone(kind, description) == is_gone
