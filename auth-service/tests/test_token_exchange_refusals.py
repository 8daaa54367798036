"""Items E204 to E206: token exchanges that are refused, and declarations that are."""

import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from exchanging_tokens import (
    FRONT,
    FRONT_OF_ONE,
    GRANT,
    NEXT,
    OTHER,
    RESOURCES,
    TARGET,
    add_account,
    allow,
    change_account,
    claims_of,
    client_token,
    exchange,
    refusal,
    sign,
    user_tokens,
)
from running_auth import Service, StartService
from signing_in import Person

from auth_service.declaration import DeclarationInvalid
from auth_service.declaration_file import load_declaration
from auth_service.grants.token_exchange import ACCESS_TOKEN_URI
from auth_service.settings import AuthSettings
from auth_service.tokens.resources import declared_resources

BAD_SUBJECTS = {"no token": None, "empty": "", "not a JWT": "x.y.z", "16 KiB": "a" * 16384}


@pytest.mark.parametrize("token", BAD_SUBJECTS.values(), ids=BAD_SUBJECTS)
def test_item_e204_a_subject_token_that_cannot_be_read_is_refused(exchanging: Service, token: str | None) -> None:
    assert refusal(exchange(exchanging, token)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("claims", "token_type"),
    [({"exp": 1}, "at+jwt"), ({"iss": "https://other.example"}, "at+jwt"), ({}, "JWT"), ({}, "application/at+jwt")],
    ids=["expired", "another issuer", "an ID token", "another spelling of the type"],
)
def test_item_e204_a_signed_token_that_is_not_valid_is_refused(
    exchanging: Service, claims: dict[str, Any], token_type: str
) -> None:
    valid = claims_of(client_token(exchanging))
    token = sign(exchanging, {**valid, **claims}, token_type)
    assert refusal(exchange(exchanging, token)) == (400, "invalid_request")


def test_item_e204_an_id_token_and_a_refresh_token_are_refused(exchanging: Service, caller: Person) -> None:
    tokens = user_tokens(caller, "openid mcp.access")
    id_token = "urn:ietf:params:oauth:token-type:id_token"
    for token, kind in (
        (tokens["id_token"], id_token),
        (tokens["id_token"], ACCESS_TOKEN_URI),
        (user_tokens(caller)["refresh_token"], ACCESS_TOKEN_URI),
    ):
        assert refusal(exchange(exchanging, token, subject_token_type=kind)) == (400, "invalid_request")


def test_item_e204_a_token_of_another_key_is_refused(exchanging: Service, start_service: StartService) -> None:
    other = start_service()
    foreign = other.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials", "client_id": "mcp-client", "client_secret": "secret"}
    ).json()["access_token"]
    assert refusal(exchange(exchanging, foreign)) == (400, "invalid_request")


def test_item_e204_a_revoked_token_is_refused(exchanging: Service, caller: Person) -> None:
    tokens = user_tokens(caller)
    assert exchange(exchanging, tokens["access_token"]).status_code == 200
    caller.http.post("/oauth2/revoke", data={"token": tokens["access_token"], "client_id": "app"})
    assert refusal(exchange(exchanging, tokens["access_token"])) == (400, "invalid_request")
    alone = client_token(exchanging)
    exchanging.http.post("/oauth2/revoke", data={"token": alone}, auth=("batch", "secret"))
    assert refusal(exchange(exchanging, alone)) == (400, "invalid_request")


def test_item_e204_a_token_for_a_resource_of_another_client_is_refused(exchanging: Service) -> None:
    elsewhere = client_token(exchanging, resource=OTHER, scope="mcp.access")
    assert refusal(exchange(exchanging, elsewhere)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token_type": None},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"subject_token_type": "access_token"},
        {"actor_token_type": ACCESS_TOKEN_URI},
        {"actor_token": "a.b.c", "actor_token_type": ACCESS_TOKEN_URI},
    ],
    ids=str,
)
def test_item_e204_wrong_token_types_and_actor_tokens_are_refused(exchanging: Service, changes: dict[str, Any]) -> None:
    assert refusal(exchange(exchanging, client_token(exchanging), **changes)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("client_id", "changes", "error"),
    [
        ("gateway", {"resource": "http://localhost:9999/mcp"}, "invalid_target"),
        ("gateway", {"resource": OTHER}, "invalid_target"),
        ("gateway", {"resource": FRONT}, "invalid_target"),
        ("gateway", {"resource": None}, "invalid_target"),
        ("gateway", {"resource": "mcp"}, "invalid_target"),
        ("gateway", {"audience": NEXT}, "invalid_target"),
        ("gateway", {"scope": "mcp.audit"}, "invalid_scope"),
        ("gateway", {"scope": "mcp.access unknown"}, "invalid_scope"),
        ("gateway", {"scope": "openid"}, "invalid_scope"),
        ("batch", {}, "unauthorized_client"),
        ("gateway", {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ("gateway", {"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ("gateway", {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
    ],
)
def test_item_e205_what_the_declaration_does_not_allow_is_refused(
    exchanging: Service, client_id: str, changes: dict[str, Any], error: str
) -> None:
    answer = exchange(exchanging, client_token(exchanging, scope="mcp.access"), client_id, **changes)
    assert refusal(answer) == (400, error)


def test_item_e205_two_targets_and_two_tokens_are_refused(exchanging: Service) -> None:
    token = client_token(exchanging)
    form = [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN_URI)]
    cases = {
        "invalid_target": [("resource", TARGET), ("resource", NEXT)],
        "invalid_request": [("resource", TARGET), ("subject_token", token)],
    }
    for error, more in cases.items():
        body = httpx2.QueryParams([*form, *more])
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = exchanging.http.post("/oauth2/token", content=str(body), headers=headers, auth=("gateway", "secret"))
        assert refusal(answer) == (400, error)


def test_item_e205_a_token_without_a_mapped_scope_is_refused(exchanging: Service) -> None:
    assert refusal(exchange(exchanging, client_token(exchanging, scope="unmapped"))) == (400, "invalid_scope")


def test_item_e205_a_rule_is_for_the_addresses_that_it_names(exchanging: Service, caller: Person) -> None:
    of_one = user_tokens(caller, resource=FRONT_OF_ONE)["access_token"]
    assert exchange(exchanging, of_one).status_code == 200
    assert refusal(exchange(exchanging, of_one, resource=NEXT)) == (400, "invalid_target")


def test_item_e205_public_clients_cannot_exchange(exchanging: Service) -> None:
    form = {"grant_type": GRANT, "client_id": "app", "subject_token": "x", "subject_token_type": ACCESS_TOKEN_URI}
    assert refusal(exchanging.http.post("/oauth2/token", data=form)) == (400, "unauthorized_client")


def test_item_e206_a_token_that_is_bound_to_a_key_is_refused_with_a_hint(exchanging: Service) -> None:
    claims = {**claims_of(client_token(exchanging)), "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}
    answer = exchange(exchanging, sign(exchanging, claims))
    assert refusal(answer) == (400, "invalid_request")
    assert "a token without DPoP" in answer.json()["error_description"]


def test_item_e206_a_user_who_is_gone_or_signed_out_ends_exchanges(exchanging: Service, caller: Person) -> None:
    inbound = claims_of(user_tokens(caller)["access_token"])
    for changes in ({"disabled": True}, {"signed_out_at_seconds": int(time.time()) + 10}):
        account = add_account(exchanging)
        allow(exchanging, account, "mcp.access")
        token = sign(exchanging, {**inbound, "sub": account})
        inner = exchange(exchanging, token).json()["access_token"]
        change_account(exchanging, account, **changes)
        assert refusal(exchange(exchanging, token)) == (400, "invalid_request")
        assert refusal(exchange(exchanging, inner, "inner-gateway")) == (400, "invalid_request")
    assert refusal(exchange(exchanging, sign(exchanging, {**inbound, "sub": "u_unknown"}))) == (400, "invalid_request")


def rule(scopes: str, *, source: str = FRONT, target: str = TARGET, more: str = "") -> str:
    """The members of a client that may exchange tokens."""
    exchange_rule = f"{{from: [{source}], to: {target}, scopes: {{{scopes}}}{more}}}"
    return f'grant_types: ["{GRANT}"], may_exchange: [{exchange_rule}]'


ELSEWHERE = "http://localhost:9999/mcp"


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        (rule("mcp.access: mcp.access").partition(", ")[2], "need each other"),
        (f'grant_types: ["{GRANT}"]', "need each other"),
        (rule(""), "at least 1"),
        (rule("mcp.access: mcp.acces"), "the scope mcp.acces, which"),
        (rule("mcp.decrypt: mcp.decrypt"), "the scope mcp.decrypt, which"),
        (rule("mcp.access: openid"), "the scope openid, which"),
        (rule("mcp.access: mcp.access", more=", lifetime_seconds: 600"), "300"),
        (rule("mcp.access: mcp.access", more=", lifetime_seconds: 60"), "120"),
        (rule("mcp.access: mcp.access", target=ELSEWHERE), f"{ELSEWHERE} is not declared"),
        (rule("mcp.access: mcp.access", source=ELSEWHERE), f"{ELSEWHERE} is not declared"),
    ],
)
def test_a_wrong_declaration_is_refused_at_the_start(tmp_path: Path, client: str, problem: str) -> None:
    (tmp_path / "secret").write_text("secret")
    config = tmp_path / "auth.yaml"
    config.write_text(f"{RESOURCES}\nclients: [{{client_id: gateway, secret_file: secret, {client}}}]\n")
    with pytest.raises(DeclarationInvalid, match=problem):
        declared_resources(load_declaration(AuthSettings(config=config, demo=False)))
