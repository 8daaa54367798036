"""Item E177: the users for whom clients redeem assertions of an identity provider (ID-JAG)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchanging_tokens import change_account, claims_of, exchange, refusal
from identity_assertions import FIRST, SECOND, id_jag, redeem, start_enterprise_managed
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, add_linked_account, identity_of, in_redis, let_time_pass
from reading_status_lists import is_revoked
from running_auth import Service, StartService
from signing_in import Request
from test_account_page import entry, press
from test_security_events import wait_for

from auth_service.accounts.identities import Identities


@pytest.fixture
def service(enterprise_managed: Service) -> Service:
    return enterprise_managed


def test_it_is_the_account_of_a_sign_in_at_the_provider(service: Service, provider: OpenIdProvider) -> None:
    provider.claims |= {"sub": "both ways"}
    token = redeem(service, id_jag(provider, service, sub="both ways")).json()["access_token"]
    user = CompanyUser(service, source="10.18.1.1")
    signed_in = user.tokens(Request("app", {"scope": "mcp.access", "resource": FIRST})).json()["access_token"]
    user.http.close()
    assert claims_of(signed_in)["sub"] == claims_of(token)["sub"]
    assert identity_of(service, provider).refresh_token is not None
    again = redeem(service, id_jag(provider, service, sub="both ways")).json()["access_token"]
    assert claims_of(again)["sub"] == claims_of(token)["sub"]
    assert identity_of(service, provider).refresh_token is not None, "an assertion does not change the identity"


@pytest.mark.parametrize("changes", [{}, {"act": {"sub": "assistant"}}])
def test_the_token_can_be_exchanged_without_a_consent(
    service: Service, provider: OpenIdProvider, changes: dict[str, Any]
) -> None:
    subject = f"calls on {len(changes)}"
    token = redeem(service, id_jag(provider, service, sub=subject, **changes)).json()["access_token"]
    answer = exchange(service, token, resource=SECOND)
    assert answer.json()["scope"] == "second.use"
    before, after = claims_of(token), claims_of(answer.json()["access_token"])
    assert (after["sub"], after["aud"], after["status"]) == (before["sub"], SECOND, before["status"])
    assert after["act"] == {"sub": "gateway", **({"act": before["act"]} if changes else {})}
    change_account(service, before["sub"], disabled=True)
    assert refusal(exchange(service, token, resource=SECOND)) == (400, "invalid_request")


def test_the_rules_of_the_provider_apply_to_an_exchange(service: Service, provider: OpenIdProvider) -> None:
    assertion = id_jag(provider, service, sub="has roles only", groups=None, realm={"roles": ["staff"]})
    token = redeem(service, assertion).json()["access_token"]
    assert refusal(exchange(service, token, resource=SECOND)) == (400, "invalid_scope")


def test_item_e177_a_user_who_was_disabled_is_refused(service: Service, provider: OpenIdProvider) -> None:
    token = redeem(service, id_jag(provider, service, sub="disabled")).json()["access_token"]
    change_account(service, claims_of(token)["sub"], disabled=True)
    assert refusal(redeem(service, id_jag(provider, service, sub="disabled"))) == (400, "invalid_grant")


def test_item_e177_a_user_who_has_to_sign_in_again_is_refused(service: Service, provider: OpenIdProvider) -> None:
    provider.claims |= {"sub": "waiting"}
    assert redeem(service, id_jag(provider, service, sub="waiting")).status_code == 200
    waiting = replace(identity_of(service, provider), must_sign_in=True)
    assert in_redis(service, lambda connection: Identities(connection).save(waiting))
    assert refusal(redeem(service, id_jag(provider, service, sub="waiting"))) == (400, "invalid_grant")


def test_a_user_who_was_added_before_the_first_sign_in_can_begin_with_an_assertion(
    service: Service, provider: OpenIdProvider
) -> None:
    """As SCIM and `user import` add users."""
    name = "added before"
    subject = add_linked_account(service, provider, name)
    provider.claims |= {"sub": name}
    added = replace(identity_of(service, provider), must_sign_in=True)
    assert in_redis(service, lambda connection: Identities(connection).save(added))
    token = redeem(service, id_jag(provider, service, sub=name)).json()["access_token"]
    assert claims_of(token)["sub"] == subject
    assert exchange(service, token, resource=SECOND).status_code == 200


def test_item_e177_people_who_are_not_linked_are_refused_where_that_is_required(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    running = start_enterprise_managed(start_service, tmp_path, provider, redis_url=own_redis[0], accounts="linked")
    assertion = id_jag(provider, running)
    assert refusal(redeem(running, assertion)) == (400, "invalid_grant")
    wait_for(
        own_redis[0],
        {("sign_in_refused", "not_linked"), ("token_refused", "invalid_grant")},
        lambda event: event.get("client_id") == "agent",
    )


def test_claims_that_the_assertion_lacks_are_those_of_a_valid_check(service: Service, provider: OpenIdProvider) -> None:
    provider.claims |= {"sub": "thin"}
    assert redeem(service, id_jag(provider, service, sub="thin")).status_code == 200
    thin = {"sub": "thin", "groups": None}
    assert redeem(service, id_jag(provider, service, **thin)).json()["scope"] == "mcp.access"
    let_time_pass(service, provider)
    assert refusal(redeem(service, id_jag(provider, service, **thin))) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"groups": []}), ({"groups": None, "realm": {"roles": ["staff"]}}, {"groups": None, "realm": {"roles": []}})],
)
def test_an_empty_claim_is_not_replaced_by_a_stored_one(
    service: Service, provider: OpenIdProvider, before: dict[str, Any], after: dict[str, Any]
) -> None:
    subject = f"emptied {len(before)}"
    assert redeem(service, id_jag(provider, service, sub=subject, **before)).status_code == 200
    assert refusal(redeem(service, id_jag(provider, service, sub=subject, **after))) == (400, "invalid_grant")


def test_a_sign_out_at_the_provider_ends_the_token_and_earlier_assertions(
    service: Service, provider: OpenIdProvider
) -> None:
    provider.claims |= {"sub": "signs out"}
    token = redeem(service, id_jag(provider, service, sub="signs out")).json()["access_token"]
    earlier = id_jag(provider, service, sub="signs out", iat=-10)
    assert not is_revoked(service, token)
    form = {"logout_token": provider.logout_token(sub="signs out")}
    assert service.http.post("/oauth2/backchannel-logout/company", data=form).status_code == 200
    assert is_revoked(service, token)
    assert refusal(redeem(service, earlier)) == (400, "invalid_grant")
    assert redeem(service, id_jag(provider, service, sub="signs out", iat=20)).status_code == 200


def test_the_user_sees_the_client_on_the_account_page_and_ends_its_tokens(
    service: Service, provider: OpenIdProvider
) -> None:
    provider.claims |= {"sub": "looks at the account"}
    token = redeem(service, id_jag(provider, service, sub="looks at the account")).json()["access_token"]
    user = CompanyUser(service, source="10.18.2.1")
    user.tokens(Request("app", {"scope": "mcp.access", "resource": FIRST}))
    page = press(user, entry(user.http.get("/account"), "agent"))
    user.http.close()
    assert page.status_code == 200
    assert is_revoked(service, token)
