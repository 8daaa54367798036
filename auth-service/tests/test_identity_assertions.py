"""Items E163 to E181: clients get tokens for users with the assertions of an identity provider (ID-JAG)."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchanging_tokens import change_account, claims_of, exchange, refusal
from identity_assertions import (
    EDITOR,
    FIRST,
    JWT_BEARER,
    OTHER_EDITOR,
    SECOND,
    id_jag,
    redeem,
    start_enterprise_managed,
)
from joserfc import jwk
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, identity_of, in_redis, let_time_pass
from reading_status_lists import is_revoked
from running_auth import Service, StartService
from signing_in import Request
from test_account_page import entry, press
from test_security_events import wait_for

from auth_service.accounts.identities import Identities

OTHER_KEY = jwk.RSAKey.generate_key(2048, {"kid": "first"})
SHARED_SECRET = jwk.OctKey.generate_key(256)


@pytest.fixture
def service(enterprise_managed: Service) -> Service:
    return enterprise_managed


def test_a_client_gets_a_token_for_a_user_without_a_page(service: Service, provider: OpenIdProvider) -> None:
    answer = redeem(service, id_jag(provider, service, sub="first sight"))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_of(answer.json()["access_token"])
    assert claims["sub"].startswith("u_")
    assert (claims["client_id"], claims["aud"], claims["scope"]) == ("agent", FIRST, "mcp.access")
    assert "status" in claims
    assert "staff" not in json.dumps(claims)


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


def test_metadata_has_the_profile(service: Service, company: Service) -> None:
    path = "/.well-known/oauth-authorization-server"
    metadata = service.http.get(path).json()
    assert JWT_BEARER in metadata["grant_types_supported"]
    assert metadata["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]
    assert "authorization_grant_profiles_supported" not in company.http.get(path).json()


def test_item_e163_a_client_that_does_not_authenticate_is_refused(service: Service, provider: OpenIdProvider) -> None:
    for client_id, secret in (("agent", "wrong"), ("agent", ""), ("unknown", "wrong"), ("not-listed", "")):
        answer = redeem(service, id_jag(provider, service, client_id=client_id), client_id, secret)
        assert refusal(answer) == (401, "invalid_client")
    assert redeem(service, id_jag(provider, service, client_id="listed"), "listed", "").status_code == 200


def nested_actors(count: int) -> dict[str, Any]:
    actor: dict[str, Any] = {"sub": "agent 1"}
    for number in range(2, count + 1):
        actor = {"sub": f"agent {number}", "act": actor}
    return actor


def test_item_e180_a_client_with_a_metadata_document_has_the_grant_if_it_is_listed(
    service: Service, provider: OpenIdProvider
) -> None:
    listed = redeem(service, id_jag(provider, service, client_id=EDITOR), EDITOR, "")
    assert claims_of(listed.json()["access_token"])["client_id"] == EDITOR
    other = redeem(service, id_jag(provider, service, client_id=OTHER_EDITOR), OTHER_EDITOR, "")
    assert refusal(other) == (400, "unauthorized_client")


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "no typ": ("e165", {"header": {"typ": None}}),
    "typ of a JWT": ("e165", {"header": {"typ": "JWT"}}),
    "typ of an access token": ("e165", {"header": {"typ": "at+jwt"}}),
    "no signature": ("e166", {"header": {"alg": "none"}}),
    "a shared secret": ("e166", {"header": {"alg": "HS256"}, "key": SHARED_SECRET}),
    "another key": ("e166", {"key": OTHER_KEY}),
    "an unknown key id": ("e166", {"header": {"kid": "second"}}),
    "a critical extension": ("e166", {"header": {"crit": ["b64"], "b64": True}}),
    "an unknown issuer": ("e167", {"iss": "https://other.example"}),
    "an issuer without enterprise_managed": ("e167", {"iss": "http://localhost:10"}),
    "no issuer": ("e167", {"iss": None}),
    "an issuer that is not text": ("e167", {"iss": ["https://other.example"]}),
    "another audience": ("e168", {"aud": "https://other.example"}),
    "the resource as audience": ("e168", {"aud": FIRST}),
    "no audience": ("e168", {"aud": None}),
    "an audience that is not text": ("e168", {"aud": 7}),
    "another client": ("e169", {"client_id": "other-agent"}),
    "no client": ("e169", {"client_id": None}),
    "no end": ("e170", {"exp": None}),
    "expired": ("e170", {"exp": -60}),
    "no beginning": ("e170", {"iat": None}),
    "issued in the future": ("e170", {"iat": 120}),
    "not yet valid": ("e170", {"nbf": 120}),
    "valid for too long": ("e170", {"exp": 601}),
    "an end beyond all numbers": ("e170", {"exp": 10**400}),
    "text that cannot be stored": ("e177", {"name": "\ud800"}),
    "no jti": ("e171", {"jti": None}),
    "an empty jti": ("e171", {"jti": ""}),
    "a long jti": ("e171", {"jti": "j" * 257}),
    "an unknown resource": ("e172", {"resource": "http://localhost:9999/mcp"}),
    "one of two resources unknown": ("e172", {"resource": [FIRST, "http://localhost:9999/mcp"]}),
    "a resource that is not a URI": ("e172", {"resource": "mcp"}),
    "a resource that is not text": ("e172", {"resource": {"url": FIRST}}),
    "an unknown scope": ("e173", {"scope": "mcp.access unknown"}),
    "a scope of another resource": ("e173", {"scope": "second.use"}),
    "scopes as a list": ("e173", {"scope": ["mcp.access"]}),
    "an empty scope": ("e173", {"scope": ""}),
    "a key": ("e174", {"cnf": {"jkt": "abc"}}),
    "a certificate": ("e174", {"cnf": {"x5t#S256": "abc"}}),
    "authorization details": ("e175", {"authorization_details": [{"type": "x"}]}),
    "an actor that is not an object": ("e176", {"act": "agent"}),
    "an actor without sub": ("e176", {"act": {"iss": "https://agents.example"}}),
    "an inner actor without sub": ("e176", {"act": {"sub": "agent", "act": {}}}),
    "an actor that is not text": ("e176", {"act": {"sub": ["agent"]}}),
    "an issuer of an actor that is not text": ("e176", {"act": {"sub": "agent", "iss": 7}}),
    "five actors": ("e176", {"act": nested_actors(5)}),
    "no subject": ("e177", {"sub": None}),
    "an empty subject": ("e177", {"sub": ""}),
    "a user who is not allowed": ("e177", {"sub": "not allowed", "groups": ["guest"]}),
    "a user without groups": ("e177", {"sub": "no groups", "groups": None}),
}


@pytest.mark.parametrize(
    "changes",
    [changes for _, changes in REFUSED.values()],
    ids=[f"{item} {case}" for case, (item, _) in REFUSED.items()],
)
def test_items_e165_to_e177_an_assertion_that_is_not_valid_is_refused_without_the_cause(
    service: Service, provider: OpenIdProvider, changes: dict[str, Any]
) -> None:
    answer = redeem(service, id_jag(provider, service, **changes))
    assert refusal(answer) == (400, "invalid_grant")
    assert answer.json() == redeem(service, id_jag(provider, service, iss="https://unknown.example")).json()


@pytest.mark.parametrize("suffix", ["/", "/oauth2/token"])
def test_item_e168_only_the_issuer_itself_is_the_audience(
    service: Service, provider: OpenIdProvider, suffix: str
) -> None:
    for audience in (service.issuer + suffix, [service.issuer, "https://other.example"]):
        assert refusal(redeem(service, id_jag(provider, service, aud=audience))) == (400, "invalid_grant")
    assert redeem(service, id_jag(provider, service, aud=[service.issuer])).status_code == 200


def test_item_e171_an_assertion_is_accepted_once(service: Service, provider: OpenIdProvider) -> None:
    assertion = id_jag(provider, service, jti="used before", exp=60)
    assert redeem(service, assertion).status_code == 200
    assert refusal(redeem(service, assertion)) == (400, "invalid_grant")
    elsewhere = id_jag(provider, service, jti="used before", client_id="other-agent")
    assert refusal(redeem(service, elsewhere, "other-agent")) == (400, "invalid_grant")


def test_item_e171_of_requests_at_the_same_moment_one_counts(service: Service, provider: OpenIdProvider) -> None:
    assertion = id_jag(provider, service, sub="four at once")
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(lambda _: redeem(service, assertion), range(4)))
    assert statuses == [200, 400, 400, 400]


@pytest.mark.parametrize(
    ("named", "requested", "expected"),
    [
        (None, None, FIRST),
        (None, SECOND, SECOND),
        (SECOND, None, SECOND),
        (SECOND, SECOND + "/", SECOND),
        ([FIRST, SECOND], SECOND, SECOND),
        ([SECOND], None, SECOND),
    ],
)
def test_item_e172_the_resource_is_that_of_assertion_and_request(
    service: Service, provider: OpenIdProvider, named: Any, requested: str | None, expected: str
) -> None:
    scope = "second.use" if expected == SECOND else "mcp.access"
    changes = {"resource": requested} if requested is not None else {}
    answer = redeem(service, id_jag(provider, service, resource=named), scope=scope, **changes)
    assert claims_of(answer.json()["access_token"])["aud"] == expected


@pytest.mark.parametrize(
    ("named", "requested"), [(FIRST, SECOND), ([FIRST, SECOND], None), (None, "http://x.example/")]
)
def test_item_e172_a_request_for_another_resource_is_refused(
    service: Service, provider: OpenIdProvider, named: Any, requested: str | None
) -> None:
    changes = {"resource": requested} if requested is not None else {}
    assert refusal(redeem(service, id_jag(provider, service, resource=named), **changes)) == (400, "invalid_target")


@pytest.mark.parametrize(
    ("groups", "asserted", "requested", "granted"),
    [
        (["staff", "clear"], None, None, "mcp.access"),
        (["staff", "clear"], "mcp.access mcp.decrypt", None, "mcp.access mcp.decrypt"),
        (["staff", "clear"], "mcp.access", "mcp.access mcp.decrypt", "mcp.access"),
        (["staff"], "mcp.access mcp.decrypt", None, "mcp.access"),
        (["staff"], "openid mcp.access", None, "mcp.access"),
        (["staff"], "mcp.access mcp.audit", None, "mcp.access"),
        (["staff", "audit"], "mcp.access mcp.audit", None, "mcp.access mcp.audit"),
    ],
)
def test_item_e173_scopes_are_those_that_all_allow(
    service: Service,
    provider: OpenIdProvider,
    groups: list[str],
    asserted: str | None,
    requested: str | None,
    granted: str,
) -> None:
    assertion = id_jag(provider, service, sub=f"{groups}", groups=groups, scope=asserted)
    changes = {"scope": requested} if requested is not None else {}
    assert redeem(service, assertion, **changes).json()["scope"] == granted


@pytest.mark.parametrize(("asserted", "requested"), [("mcp.access", "mcp.decrypt"), (None, "mcp.decrypt")])
def test_item_e173_nothing_left_is_an_invalid_scope(
    service: Service, provider: OpenIdProvider, asserted: str | None, requested: str
) -> None:
    answer = redeem(service, id_jag(provider, service, scope=asserted), scope=requested)
    assert refusal(answer) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("asserted", "kept"),
    [
        ({"sub": "assistant"}, {"iss": "the provider", "sub": "assistant"}),
        ({"sub": "assistant", "iss": "https://agents.example"}, {"iss": "https://agents.example", "sub": "assistant"}),
        (
            {"sub": "outer", "exp": 7, "act": {"sub": "inner", "name": "Inner"}},
            {"iss": "the provider", "sub": "outer", "act": {"iss": "the provider", "sub": "inner"}},
        ),
    ],
)
def test_item_e176_who_acts_for_the_user_is_kept_in_the_token(
    service: Service, provider: OpenIdProvider, asserted: dict[str, Any], kept: dict[str, Any]
) -> None:
    token = redeem(service, id_jag(provider, service, act=asserted)).json()["access_token"]
    assert claims_of(token)["act"] == json.loads(json.dumps(kept).replace("the provider", provider.issuer))


def test_item_e176_four_actors_are_accepted(service: Service, provider: OpenIdProvider) -> None:
    answer = redeem(service, id_jag(provider, service, act=nested_actors(4)))
    assert answer.status_code == 200, answer.text


def test_item_e176_who_acts_for_the_user_is_on_record(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    running = start_enterprise_managed(start_service, tmp_path, provider, redis_url=own_redis[0])
    assert redeem(running, id_jag(provider, running, act={"sub": "assistant"})).status_code == 200
    wait_for(own_redis[0], {("token_issued", "assistant")}, lambda event: event.get("client_id") == "agent")


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


def test_item_e181_the_assertion_is_in_no_log_and_no_event(
    provider: OpenIdProvider,
    start_service: StartService,
    tmp_path: Path,
    own_redis: tuple[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = start_enterprise_managed(start_service, tmp_path, provider, redis_url=own_redis[0])
    accepted, refused = id_jag(provider, running), id_jag(provider, running, client_id="other-agent")
    assert redeem(running, accepted).status_code == 200
    assert redeem(running, refused).status_code == 400
    wait_for(own_redis[0], {("token_issued", None), ("token_refused", "invalid_grant")}, lambda event: True)
    written = json.dumps(own_redis[1].xrange("audit:events")) + caplog.text
    assert "id_jag_refused" in written
    assert accepted not in written
    assert refused not in written


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


def test_item_e178_this_server_is_not_an_issuer_of_assertions(service: Service, provider: OpenIdProvider) -> None:
    assert refusal(redeem(service, id_jag(provider, service, iss=service.issuer))) == (400, "invalid_grant")


def test_item_e179_an_id_token_of_the_provider_is_refused(service: Service, provider: OpenIdProvider) -> None:
    assert refusal(redeem(service, provider.id_token(None))) == (400, "invalid_grant")


def test_item_e180_a_client_without_the_grant_is_refused(service: Service, provider: OpenIdProvider) -> None:
    answer = redeem(service, id_jag(provider, service, client_id="without-grant"), "without-grant")
    assert refusal(answer) == (400, "unauthorized_client")


def test_keys_that_are_not_available_are_not_the_fault_of_the_client(
    service: Service, provider: OpenIdProvider
) -> None:
    answer = redeem(service, id_jag(provider, service, iss="http://localhost:9"))
    assert refusal(answer) == (503, "temporarily_unavailable")
