"""The provider is also asked again about the sessions of browsers, and codes of users who have left are refused."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from openid_provider import OpenIdProvider
from provider_users import HOUR, CompanyUser, identity_of, in_redis, let_time_pass
from redis.asyncio import Redis
from running_auth import Service
from signing_in import Page, Request, redeem, refresh, sent_to_client

from auth_service.accounts.consents import Consents
from auth_service.accounts.identities import Identities
from auth_service.accounts.store import AccountStore

ONLINE = {"scope": "openid mcp.access"}
SILENT = Request("app", {**ONLINE, "prompt": "none"})


def sign_in(provider: OpenIdProvider, user: CompanyUser, subject: str) -> None:
    """The app gets no refresh token, so only the session of the browser is left."""
    provider.claims |= {"sub": subject, "groups": ["staff"]}
    assert "refresh_token" not in user.tokens(Request("app", ONLINE)).json()


def silent_result(user: CompanyUser) -> str:
    """`code`, or the error of an authorization request without interaction."""
    sent = sent_to_client(user.open(SILENT.path))
    return sent.get("error", "code")


def test_a_session_ends_when_the_user_is_gone_at_the_provider(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "leaver with a session")
    provider.token_error, provider.description = "invalid_grant", "account not found"
    assert silent_result(employee) == "code", "the last check is still valid"
    let_time_pass(company, provider)
    assert silent_result(employee) == "login_required"
    assert identity_of(company, provider).must_sign_in


def test_a_session_is_checked_once_in_an_interval(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "session in use")
    before = provider.refreshed
    let_time_pass(company, provider)
    assert [silent_result(employee) for _ in range(3)] == ["code"] * 3
    assert provider.refreshed == before + 1


def test_a_session_is_not_used_after_twice_the_interval_without_an_answer(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "session in an outage")
    provider.is_down = True
    let_time_pass(company, provider, HOUR + 60)
    assert silent_result(employee) == "code"
    let_time_pass(company, provider, HOUR)
    assert silent_result(employee) == "login_required"


def test_without_a_token_of_the_provider_a_session_ends_after_a_day(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.gives_refresh_tokens = False
    sign_in(provider, employee, "session without a token")
    let_time_pass(company, provider, 23 * HOUR)
    assert silent_result(employee) == "code"
    let_time_pass(company, provider, HOUR)
    assert silent_result(employee) == "login_required"


def test_a_refresh_token_that_a_session_gave_is_checked_in_the_background(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "family from a session")
    key = identity_of(company, provider).key
    in_redis(company, lambda connection: connection.zrem("auth:recheck:company", key))
    request = Request("app")
    code = sent_to_client(employee.open(request.path))["code"]
    assert "refresh_token" in redeem(employee.http, request, code).json()
    assert in_redis(company, lambda connection: connection.zscore("auth:recheck:company", key)) is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["others"]},
        {"groups": {"not": "a list"}},
        {"groups": None, "hasgroups": True},
        {"groups": None, "hasgroups": [True]},
    ],
)
def test_a_refused_sign_in_ends_the_access_that_was_given_before(
    provider: OpenIdProvider,
    employee: CompanyUser,
    company_visitor: CompanyUser,
    company: Service,
    claims: dict[str, object],
) -> None:
    provider.claims |= {"sub": f"right lost, {claims}", "groups": ["staff"]}
    token = employee.tokens(Request("app")).json()["refresh_token"]
    provider.claims |= claims
    assert company_visitor.sign_in_at_provider(Request("app")).status_code == 403
    assert identity_of(company, provider).must_sign_in
    assert silent_result(employee) == "login_required"
    assert refresh(employee.http, "app", token).json()["error"] == "invalid_grant"


async def disable(connection: Redis, subject: str) -> None:
    await AccountStore(connection).change(subject, lambda account: replace(account, disabled=True))


async def delete(connection: Redis, subject: str) -> None:
    account = await AccountStore(connection).find(subject)
    assert account is not None
    await AccountStore(connection).delete(account)


async def withdraw(connection: Redis, subject: str) -> None:
    await Consents(connection).withdraw(subject, "app")


async def require_sign_in(connection: Redis, subject: str) -> None:
    identities = Identities(connection)
    for identity in await identities.of_account(subject):
        await identities.save(replace(identity, must_sign_in=True))


@pytest.mark.parametrize("change", [disable, delete, withdraw, require_sign_in])
def test_a_code_of_a_user_who_has_left_is_refused(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, change: Callable[[Redis, str], Awaitable[None]]
) -> None:
    provider.claims |= {"sub": f"code, then {change.__name__}", "groups": ["staff"]}
    request = Request("app")
    code = employee.grant_with_provider(request)["code"]
    account = identity_of(company, provider).account
    in_redis(company, lambda connection: change(connection, account))
    refused = redeem(employee.http, request, code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_code_gives_only_the_scopes_that_the_rules_still_give(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "code, then fewer groups", "groups": ["staff", "clear"]}
    request = Request("app", {"scope": "mcp.access mcp.decrypt"})
    code = employee.grant_with_provider(request)["code"]
    narrowed = replace(identity_of(company, provider), claims={"groups": ["staff"]})
    in_redis(company, lambda connection: Identities(connection).save(narrowed))
    assert redeem(employee.http, request, code).json()["scope"] == "mcp.access"


def test_after_signing_out_the_next_sign_in_is_not_silent(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "shared computer")
    question = employee.open("/oauth2/logout")
    assert "at Company account" in employee.submit(question).text
    provider.requests.clear()
    employee.grant_with_provider(Request("app"))
    assert provider.requests[0]["prompt"] == "select_account"
    assert "auth_choose_account" not in employee.http.cookies


def test_allowing_after_the_session_has_ended_leads_to_the_sign_in_page(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "session ended on the consent page", "groups": ["staff"]}
    consent = employee.sign_in_at_provider(Request("app"))
    del employee.http.cookies["auth_session"]
    answer = employee.allow(consent)
    assert Page(answer.text).action == "/oauth2/sign-in"
    assert "Continue with Company account" in Page(answer.text).links


def test_signing_out_ends_a_session_that_waits_for_a_sign_in(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service
) -> None:
    sign_in(provider, employee, "signed out while waiting")
    account = identity_of(company, provider).account
    in_redis(company, lambda connection: require_sign_in(connection, account))
    copied = dict(employee.http.cookies)
    assert "signed out" in employee.open("/oauth2/logout").text
    employee.http.cookies.update(copied)
    company_visitor.sign_in_at_provider(Request("app"))
    assert silent_result(employee) == "login_required"
