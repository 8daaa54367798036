"""Items E163 to E181: clients get tokens for users with the assertions of an identity provider (ID-JAG)."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from exchanging_tokens import claims_of, refusal
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
from running_auth import Service, StartService
from test_security_events import wait_for

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


def test_item_e178_this_server_is_not_an_issuer_of_assertions(service: Service, provider: OpenIdProvider) -> None:
    assert refusal(redeem(service, id_jag(provider, service, iss=service.issuer))) == (400, "invalid_grant")


def test_item_e179_an_id_token_of_the_provider_is_refused(service: Service, provider: OpenIdProvider) -> None:
    assert refusal(redeem(service, provider.id_token(None))) == (400, "invalid_grant")


def test_item_e180_a_client_with_a_metadata_document_has_the_grant_if_it_is_listed(
    service: Service, provider: OpenIdProvider
) -> None:
    listed = redeem(service, id_jag(provider, service, client_id=EDITOR), EDITOR, "")
    assert claims_of(listed.json()["access_token"])["client_id"] == EDITOR
    other = redeem(service, id_jag(provider, service, client_id=OTHER_EDITOR), OTHER_EDITOR, "")
    assert refusal(other) == (400, "unauthorized_client")


def test_item_e180_a_client_without_the_grant_is_refused(service: Service, provider: OpenIdProvider) -> None:
    answer = redeem(service, id_jag(provider, service, client_id="without-grant"), "without-grant")
    assert refusal(answer) == (400, "unauthorized_client")


def test_keys_that_are_not_available_are_not_the_fault_of_the_client(
    service: Service, provider: OpenIdProvider
) -> None:
    answer = redeem(service, id_jag(provider, service, iss="http://localhost:9"))
    assert refusal(answer) == (503, "temporarily_unavailable")
