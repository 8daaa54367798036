"""Sign-in at an identity provider: first and later sign-ins, and what reaches the client."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
from openid_provider import OpenIdProvider
from provider_users import USUAL_RULES, CompanyUser, declare, identity_of, in_redis, start_with_provider, wait_until
from running_auth import Service, StartService
from signing_in import Page, Request, refresh, sent_to_client

from auth_service.accounts.identities import Identities


def test_the_first_sign_in_makes_an_account_that_later_sign_ins_find_again(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service
) -> None:
    provider.claims |= {"sub": "joiner", "name": "Jo Iner", "preferred_username": "jo@example.com"}
    first = employee.tokens(Request("app", {"scope": "openid profile mcp.access"})).json()
    userinfo = company.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {first['access_token']}"})
    assert userinfo.json() | {"sub": ""} == {"sub": "", "name": "Jo Iner", "preferred_username": "jo@example.com"}
    provider.claims |= {"name": "Jo Renamed", "preferred_username": "renamed@example.com"}
    second = company_visitor.tokens(Request("app", {"scope": "openid profile mcp.access"})).json()
    later = company.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {second['access_token']}"}).json()
    assert (later["sub"], later["name"]) == (userinfo.json()["sub"], "Jo Renamed")


def test_what_is_sent_to_the_provider(provider: OpenIdProvider, employee: CompanyUser) -> None:
    employee.sign_in_at_provider(Request("app", {"max_age": "600", "login_hint": "jo", "ui_locales": "ko"}))
    asked, redeemed = provider.requests[:2]
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile email offline_access"
    assert (asked["max_age"], asked["login_hint"], asked["ui_locales"]) == ("600", "jo", "ko")
    assert asked["redirect_uri"] == redeemed["redirect_uri"] == f"{employee.issuer}/oauth2/callback/company"
    assert "resource" not in asked
    assert "some state" not in asked["state"]


def test_nothing_of_the_provider_reaches_the_client(provider: OpenIdProvider, employee: CompanyUser) -> None:
    request = Request("app", {"scope": "openid mcp.access"})
    answer = employee.tokens(request)
    assert "upstream" not in answer.text
    assert provider.claims["sub"] not in answer.text


def test_a_provider_session_does_not_replace_the_consent(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "item 36"}
    assert Page(employee.sign_in_at_provider(Request("app")).text).action == "/oauth2/consent"


def test_groups_decide_what_can_be_granted(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    provider.claims |= {"sub": "mover", "groups": ["staff", "clear"]}
    request = Request("app", {"scope": "mcp.access mcp.decrypt mcp.audit"})
    tokens = employee.tokens(request).json()
    assert tokens["scope"] == "mcp.access mcp.decrypt"
    provider.claims |= {"groups": ["staff"]}
    company_visitor.tokens(request)
    assert refresh(employee.http, "app", tokens["refresh_token"]).json()["scope"] == "mcp.access"


def test_a_person_without_a_matching_rule_can_grant_nothing(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "guest", "groups": ["guest"]}
    sent = sent_to_client(employee.sign_in_at_provider(Request("app", {"scope": "openid mcp.access"})))
    assert sent["error"] == "access_denied"


def test_the_role_auditor_allows_mcp_audit(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "auditor", "groups": ["audit", "staff"]}
    assert employee.tokens(Request("app", {"scope": "mcp.access mcp.audit"})).json()["scope"] == "mcp.access mcp.audit"


def test_item_e60_the_id_token_takes_precedence_over_userinfo(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "item e60", "groups": ["staff"]}
    provider.userinfo = {"groups": ["staff", "clear"], "name": "From userinfo"}
    request = Request("app", {"scope": "openid profile mcp.access mcp.decrypt"})
    tokens = employee.tokens(request).json()
    assert "mcp.decrypt" not in tokens["scope"]
    answer = employee.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert answer.json()["name"] == "From userinfo"


def test_item_e34_a_required_claim_is_missing(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    more = f"{USUAL_RULES}    require: [{{claim: amr, has: mfa}}]\n    acr_values: strong\n"
    service = start_with_provider(start_service, tmp_path, declare(provider, more=more), redis_url=own_redis[0])
    user = CompanyUser(service, source="10.15.1.1")
    provider.claims |= {"sub": "item e34", "amr": ["pwd"]}
    sent = sent_to_client(user.sign_in_at_provider(Request("app")))
    assert sent["error"] == "unmet_authentication_requirements"
    assert provider.requests[0]["acr_values"] == "strong"
    provider.claims |= {"amr": ["pwd", "mfa"]}
    tokens = user.tokens(Request("app", {"scope": "openid offline_access mcp.access"})).json()
    assert jwt.decode(tokens["id_token"], options={"verify_signature": False})["amr"] == ["pwd", "mfa"]
    user.http.close()


def test_a_new_requirement_applies_to_sign_ins_before_it(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    more = f"{USUAL_RULES}    require: [{{claim: amr, has: mfa}}]\n"
    service = start_with_provider(start_service, tmp_path, declare(provider, more=more), redis_url=own_redis[0])
    before, later = (CompanyUser(service, source=f"10.15.{number}.1") for number in (2, 3))
    provider.claims |= {"sub": "signed in before", "amr": ["mfa"]}
    token = before.tokens(Request("app")).json()["refresh_token"]
    signed_in_at = time.time()
    identity = replace(identity_of(service, provider), requirements=frozenset())
    in_redis(service, lambda connection: Identities(connection).save(identity))
    assert Page(before.open(Request("app").path).text).action == "/oauth2/sign-in"
    assert refresh(service.http, "app", token).json()["error"] == "invalid_grant"
    wait_until(lambda: int(time.time()) > signed_in_at)  # the times of sign-ins are in whole seconds
    assert later.tokens(Request("app")).status_code == 200
    assert Page(before.open(Request("app").path).text).action == "/oauth2/sign-in", "the sign-in before has ended"
    before.http.close()
    later.http.close()
