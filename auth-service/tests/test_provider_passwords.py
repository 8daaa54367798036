"""Passwords beside identity providers: of accounts that a provider made, and after auth.yaml permits them no more."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from openid_provider import OpenIdProvider
from provider_users import (
    LINKED_PASSWORD,
    CompanyUser,
    add_linked_account,
    declare,
    identity_of,
    in_redis,
    let_time_pass,
    start_with_provider,
    wait_until,
)
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import Page, Person, Request, redeem, refresh, sent_to_client

from auth_service.accounts.account import Role
from auth_service.accounts.store import AccountStore

PASSWORD = "several words"


def set_password(service: Service, provider: OpenIdProvider, **changes: Any) -> str:
    """As `auth-service user password` and `role` do; returns the username."""
    subject = identity_of(service, provider).account

    async def change(connection: Redis) -> str:
        store = AccountStore(connection)
        await store.set_password_hash(subject, PasswordHasher().hash(PASSWORD))
        changed = await store.change(subject, lambda account: replace(account, **changes))
        assert changed is not None
        return changed.username

    return in_redis(service, change)


def test_a_user_of_a_provider_is_checked_there_also_after_a_sign_in_with_a_password(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "leaver with a password"}
    employee.grant_with_provider(Request("app"))
    username = set_password(company, provider)
    request = Request("app", {"prompt": "login"})
    signed_in = company_visitor.sign_in(company_visitor.open(request.path), username, PASSWORD)
    token = redeem(company.http, request, sent_to_client(signed_in)["code"]).json()["refresh_token"]
    let_time_pass(company, provider)
    provider.token_error, provider.description = "invalid_grant", "account not found"
    assert refresh(company.http, "app", token).json()["error"] == "invalid_grant"
    refused = company_visitor.sign_in(company_visitor.open(request.path), username, PASSWORD)
    assert (refused.status_code, "belongs to your organization" in refused.text) == (400, True)


@pytest.mark.parametrize("change", ["gone", "not allowed"])
def test_the_password_of_a_linked_account_is_refused_while_the_provider_has_ended_the_access(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service, change: str
) -> None:
    name = f"linked leaver, {change}"
    add_linked_account(company, provider, name)
    provider.claims |= {"sub": name}
    token = employee.tokens(Request("app")).json()["refresh_token"]
    request = Request("app", {"prompt": "login"})
    assert sign_in_with_password(company_visitor, request, name).status_code == 303
    let_time_pass(company, provider)
    if change == "gone":
        provider.token_error, provider.description = "invalid_grant", "account not found"
    else:
        provider.claims |= {"groups": ["others"]}
    assert refresh(company.http, "app", token).json()["error"] == "invalid_grant"
    refused = sign_in_with_password(company_visitor, request, name)
    assert (refused.status_code, "belongs to your organization" in refused.text) == (400, True)
    provider.reset()
    provider.claims |= {"sub": name}
    ended_at = time.time()
    wait_until(lambda: time.time() > ended_at + 1)  # the times of sign-ins are in whole seconds
    assert employee.tokens(request).status_code == 200
    assert sign_in_with_password(company_visitor, request, name).status_code == 303


def test_a_sign_in_with_claims_that_are_not_allowed_ends_the_password_as_well(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service
) -> None:
    name = "linked leaver who has to sign in again"
    add_linked_account(company, provider, name)
    provider.claims |= {"sub": name}
    token = employee.tokens(Request("app")).json()["refresh_token"]
    let_time_pass(company, provider)
    provider.token_error = "interaction_required"
    assert refresh(company.http, "app", token).json()["error"] == "invalid_grant"
    assert sign_in_with_password(company_visitor, Request("app"), name).status_code == 303, "the session is only over"
    provider.token_error = None
    provider.claims |= {"groups": ["others"]}
    assert employee.sign_in_at_provider(Request("app")).status_code == 403
    assert sign_in_with_password(company_visitor, Request("app", {"prompt": "login"}), name).status_code == 400


def sign_in_with_password(person: CompanyUser, request: Request, username: str) -> httpx2.Response:
    return person.sign_in(person.open(request.path), username, LINKED_PASSWORD)


def test_the_role_that_an_operator_gives_counts_for_a_user_of_a_provider(
    provider: OpenIdProvider, employee: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "auditor by command", "name": "Kim", "preferred_username": "kim-1"}
    assert employee.tokens(Request("app")).status_code == 200
    set_password(company, provider, roles=frozenset({Role.AUDITOR}))
    page = employee.open(Request("app", {"scope": "mcp.access mcp.audit"}).path)
    assert "mcp.audit" in Page(page.text).text
    assert "Signed in as Kim (kim-1)" in " ".join(Page(page.text).text.split())


def test_grants_of_passwords_end_when_passwords_are_not_permitted_any_more(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    declaration = declare(provider)
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    person = Person(service.issuer.replace("localhost", "127.0.0.1"))
    request = Request("app")
    token = redeem(service.http, request, person.grant(request)["code"]).json()["refresh_token"]
    (tmp_path / "auth.yaml").write_text(declare(provider, sign_in="sign_in: {local: operators}"))
    later = start_service(config=tmp_path / "auth.yaml", redis_url=own_redis[0], issuer=service.issuer)
    assert refresh(later.http, "app", token).json()["error"] == "invalid_grant"
    person.http.close()
