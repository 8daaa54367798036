"""Passwords beside identity providers: of accounts that a provider made, and after auth.yaml permits them no more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, declare, identity_of, in_redis, let_time_pass, start_with_provider
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
