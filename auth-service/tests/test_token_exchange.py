"""Token exchange (RFC 8693): a client exchanges the access token of its caller for one to another resource."""

import asyncio
import time
from typing import Any

import jwt
import pytest
from exchanging_tokens import (
    FRONT,
    FRONT_OF_ONE,
    GRANT,
    NEXT,
    OTHER,
    TARGET,
    add_account,
    allow,
    claims_of,
    client_token,
    exchange,
    is_active,
    refusal,
    sign,
    user_tokens,
)
from running_auth import Service
from signing_in import Person, refresh
from test_security_events import wait_for

from auth_service.cli.doctor import check_declaration
from auth_service.grants.token_exchange import ACCESS_TOKEN_URI
from auth_service.tokens.issued_tokens import MAX_ACTORS


def test_a_token_of_a_user_is_exchanged_for_one_to_the_target(exchanging: Service, caller: Person) -> None:
    inbound = user_tokens(caller, "mcp.access crm.read")["access_token"]
    answer = exchange(exchanging, inbound)
    members = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert members["issued_token_type"] == ACCESS_TOKEN_URI
    assert members["token_type"] == "Bearer"
    assert members["scope"] == "mcp.access mcp.decrypt"
    assert "refresh_token" not in members
    before, after = claims_of(inbound), claims_of(members["access_token"])
    assert after["sub"] == before["sub"]
    assert after["aud"] == TARGET
    assert after["client_id"] == "gateway"
    assert after["act"] == {"sub": "gateway"}
    assert after["scope"] == "mcp.access mcp.decrypt"
    assert after["exp"] - after["iat"] == members["expires_in"] == 300
    assert after["jti"].partition(".")[0] == before["jti"].partition(".")[0]
    assert jwt.get_unverified_header(members["access_token"])["typ"] == "at+jwt"


def test_a_token_of_a_client_is_exchanged_as_well(exchanging: Service) -> None:
    inbound = client_token(exchanging, scope="mcp.access")
    claims = claims_of(exchange(exchanging, inbound).json()["access_token"])
    assert (claims["sub"], claims["client_id"], claims["act"]) == ("batch", "gateway", {"sub": "gateway"})


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": None, "audience": TARGET},
        {"audience": TARGET},
        {"resource": f"{TARGET}/"},
        {"requested_token_type": ACCESS_TOKEN_URI},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"scope": "mcp.access"},
    ],
)
def test_each_form_of_the_same_request_is_accepted(exchanging: Service, changes: dict[str, Any]) -> None:
    answer = exchange(exchanging, client_token(exchanging, scope="mcp.access"), **changes)
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json()["access_token"])["aud"] == TARGET


def test_scopes_are_those_that_the_held_ones_are_mapped_to(exchanging: Service) -> None:
    both = client_token(exchanging, scope="mcp.access crm.read")
    assert exchange(exchanging, both, scope="mcp.decrypt").json()["scope"] == "mcp.decrypt"
    assert exchange(exchanging, client_token(exchanging, scope="crm.read")).json()["scope"] == "mcp.access mcp.decrypt"
    assert exchange(exchanging, both, resource=NEXT).json()["scope"] == "next.use"


def test_each_rule_has_its_lifetime(exchanging: Service) -> None:
    assert exchange(exchanging, client_token(exchanging), resource=NEXT).json()["expires_in"] == 120


def test_a_new_token_never_outlives_the_exchanged_one(exchanging: Service) -> None:
    claims = claims_of(client_token(exchanging))
    ends = int(time.time()) + 45
    members = exchange(exchanging, sign(exchanging, {**claims, "exp": ends})).json()
    assert claims_of(members["access_token"])["exp"] == ends
    assert members["expires_in"] <= 45


def test_an_auditors_scope_needs_an_auditor(exchanging: Service, caller: Person) -> None:
    """The demo user is one."""
    inbound = user_tokens(caller, "crm.audit")["access_token"]
    assert exchange(exchanging, inbound).json()["scope"] == "mcp.audit"
    account = add_account(exchanging)
    claims = {**claims_of(inbound), "sub": account}
    allow(exchanging, account, "crm.audit")
    assert refusal(exchange(exchanging, sign(exchanging, claims))) == (400, "invalid_scope")


def test_actors_of_a_chain_are_nested(exchanging: Service, caller: Person) -> None:
    inbound = user_tokens(caller)["access_token"]
    first = exchange(exchanging, inbound).json()["access_token"]
    second = exchange(exchanging, first, "inner-gateway").json()["access_token"]
    assert claims_of(second)["act"] == {"sub": "inner-gateway", "act": {"sub": "gateway"}}
    token = second
    for _ in range(MAX_ACTORS - 2):
        token = exchange(exchanging, token, "inner-gateway").json()["access_token"]
    assert refusal(exchange(exchanging, token, "inner-gateway")) == (400, "invalid_request")


def test_a_withdrawn_consent_ends_exchanges(exchanging: Service, caller: Person) -> None:
    inbound = claims_of(user_tokens(caller)["access_token"])
    account = add_account(exchanging)
    token = sign(exchanging, {**inbound, "sub": account})
    assert refusal(exchange(exchanging, token)) == (400, "invalid_request")
    allow(exchanging, account, "mcp.access")
    assert exchange(exchanging, token).status_code == 200


def test_revoking_the_grant_ends_new_tokens_but_not_the_other_way_round(exchanging: Service, caller: Person) -> None:
    tokens = user_tokens(caller)
    exchanged = exchange(exchanging, tokens["access_token"]).json()["access_token"]
    another = exchange(exchanging, tokens["access_token"]).json()["access_token"]
    assert is_active(exchanging, exchanged)
    exchanging.http.post("/oauth2/revoke", data={"token": exchanged}, auth=("gateway", "secret"))
    assert not is_active(exchanging, exchanged)
    assert is_active(exchanging, another)
    refreshed = refresh(caller.http, "app", tokens["refresh_token"])
    assert refreshed.status_code == 200, "the user's own grant is not affected"
    caller.http.post("/oauth2/revoke", data={"token": refreshed.json()["refresh_token"], "client_id": "app"})
    assert not is_active(exchanging, another)


def test_an_exchange_is_recorded_with_client_user_and_resource(exchanging: Service, caller: Person) -> None:
    inbound = user_tokens(caller)["access_token"]
    exchange(exchanging, inbound)
    subject = claims_of(inbound)["sub"]
    wait_for(
        exchanging.settings.redis_url,
        {("token_exchanged", TARGET)},
        lambda event: (event.get("client_id"), event.get("user_id")) == ("gateway", subject),
    )
    exchange(exchanging, inbound, resource=OTHER)
    wait_for(
        exchanging.settings.redis_url,
        {("token_refused", "invalid_target")},
        lambda event: event.get("client_id") == "gateway",
    )


def test_the_metadata_and_the_document_name_the_grant(exchanging: Service) -> None:
    metadata = exchanging.http.get("/.well-known/oauth-authorization-server").json()
    assert GRANT in metadata["grant_types_supported"]
    document = exchanging.http.get("/openapi.json").json()
    body = document["paths"]["/oauth2/token"]["post"]["requestBody"]
    properties = body["content"]["application/x-www-form-urlencoded"]["schema"]["properties"]
    assert {"subject_token", "subject_token_type", "requested_token_type", "audience"} <= properties.keys()
    assert GRANT in properties["grant_type"]["enum"]


def test_the_doctor_shows_what_each_client_may_exchange(exchanging: Service) -> None:
    found = [
        result.what for result in asyncio.run(check_declaration(exchanging.settings)) if "may exchange" in result.what
    ]
    assert found[0] == (
        f"declaration: gateway may exchange tokens for {FRONT}, {FRONT_OF_ONE} for {TARGET}: "
        "mcp.access gives mcp.access; crm.read gives mcp.access mcp.decrypt; crm.audit gives mcp.audit"
    )
    assert len(found) == 3
