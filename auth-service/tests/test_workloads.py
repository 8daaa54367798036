"""Items E78 to E90: CI jobs and pods get tokens for their client with a token of their platform."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from exchanging_tokens import claims_of, refusal
from joserfc import jwk
from openid_provider import OpenIdProvider
from running_auth import Service, StartService
from test_security_events import wait_for
from workload_platform import (
    JWT_BEARER,
    POD,
    job_token,
    pod_token,
    send_assertion,
    send_client_assertion,
    start_with_workloads,
)

from auth_service.cli.workload_checks import check_workload_issuers
from auth_service.declaration import DeclarationInvalid
from auth_service.declaration_file import load_declaration
from auth_service.settings import AuthSettings
from auth_service.workloads.weak_conditions import log_weak_conditions
from auth_service.workloads.workload_issuer import load_workload_issuers

OTHER_KEY = jwk.RSAKey.generate_key(2048, {"kid": "first"})
SHARED_SECRET = jwk.OctKey.generate_key(256)


@pytest.fixture(scope="module")
def service(
    running_openid_provider: OpenIdProvider, start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    return start_with_workloads(start_service, tmp_path_factory.mktemp("declaration"), running_openid_provider)


@pytest.mark.parametrize("send", [send_assertion, send_client_assertion])
def test_a_job_gets_a_token_of_its_client(service: Service, provider: OpenIdProvider, send: Any) -> None:
    answer = send(service, job_token(provider, service))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_of(answer.json()["access_token"])
    assert claims["sub"] == claims["client_id"] == "deploy"
    assert claims["scope"] == "mcp.access"
    assert "octo" not in json.dumps(claims)


@pytest.mark.parametrize("path", ["", "/", "/oauth2/token"])
def test_issuer_and_token_endpoint_are_accepted_as_audience(
    service: Service, provider: OpenIdProvider, path: str
) -> None:
    for audience in (service.issuer + path, [service.issuer + path]):
        assert send_assertion(service, job_token(provider, service, aud=audience)).status_code == 200


@pytest.mark.parametrize("send", [send_assertion, send_client_assertion])
def test_a_pod_sends_the_same_token_again(service: Service, send: Any) -> None:
    token = pod_token(service)
    for _ in range(2):
        assert claims_of(send(service, token).json()["access_token"])["sub"] == "indexer"


def test_the_request_may_name_the_client_and_a_scope(service: Service, provider: OpenIdProvider) -> None:
    answer = send_assertion(service, job_token(provider, service), client_id="deploy", scope="mcp.decrypt")
    assert answer.json()["scope"] == "mcp.decrypt"
    answer = send_client_assertion(service, job_token(provider, service), client_id="deploy", scope="mcp.decrypt")
    assert answer.json()["scope"] == "mcp.decrypt"


def test_the_grant_is_advertised_only_with_a_workload_issuer(service: Service, people: Service) -> None:
    metadata = "/.well-known/oauth-authorization-server"
    assert JWT_BEARER in service.http.get(metadata).json()["grant_types_supported"]
    assert JWT_BEARER not in people.http.get(metadata).json()["grant_types_supported"]
    assert refusal(send_assertion(people, "a.b.c")) == (400, "unsupported_grant_type")


def test_the_record_names_issuer_and_subject(
    provider: OpenIdProvider,
    start_service: StartService,
    tmp_path: Path,
    own_redis: tuple[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = start_with_workloads(start_service, tmp_path, provider, redis_url=own_redis[0])
    token, refused = job_token(provider, running), job_token(provider, running, ref="refs/heads/other")
    send_assertion(running, token)
    send_assertion(running, refused)
    expected = {
        ("workload_authenticated", "jobs: repo:octo/deploy:ref:refs/heads/main"),
        ("token_issued", None),
        ("token_refused", "invalid_grant"),
    }
    wait_for(own_redis[0], expected, lambda event: True)
    written = json.dumps(own_redis[1].xrange("audit:events")) + caplog.text
    assert "workload_token_refused" in written
    assert token not in written
    assert refused not in written


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "another issuer": ("e78", {"iss": "https://other.example"}),
    "the issuer with a slash": ("e78", {"iss": "http://localhost:1/"}),
    "no issuer": ("e78", {"iss": None}),
    "another key": ("e78", {"key": OTHER_KEY}),
    "an unknown key id": ("e78", {"header": {"kid": "second"}}),
    "a critical extension": ("e78", {"header": {"crit": ["b64"], "b64": True}}),
    "no signature": ("e78", {"header": {"alg": "none"}}),
    "a shared secret": ("e78", {"header": {"alg": "HS256"}, "key": SHARED_SECRET}),
    "another branch": ("e79", {"ref": "refs/heads/other"}),
    "another repository": ("e79", {"repository_id": "813"}),
    "a condition in another case": ("e79", {"ref": "refs/heads/Main"}),
    "a claim that is missing": ("e79", {"ref": None}),
    "two clients": ("e79", {"ref": ["refs/heads/main", "refs/heads/assertions"]}),
    "a number": ("e79", {"repository_id": 812}),
    "another audience": ("e82", {"aud": "https://other.example"}),
    "two audiences": ("e82", {"aud": ["https://other.example", "https://another.example"]}),
    "no audience": ("e82", {"aud": None}),
    "valid for too long": ("e83", {"exp": 901}),
    "valid for too long since it was issued": ("e83", {"iat": -900, "exp": 60}),
    "expired": ("e83", {"exp": -60}),
    "without an end": ("e83", {"exp": None}),
    "an end that is not a number": ("e83", {"exp": float("nan")}),
    "an end beyond all numbers": ("e83", {"exp": 10**400}),
    "issued in the future": ("e83", {"iat": 120}),
    "without a beginning": ("e83", {"iat": None}),
    "not yet valid": ("e83", {"nbf": 120}),
    "a beginning that is text": ("e83", {"nbf": "soon"}),
    "no jti": ("e84", {"jti": None}),
    "an empty jti": ("e84", {"jti": ""}),
    "a long jti": ("e84", {"jti": "j" * 257}),
    "no subject": ("e85", {"sub": None}),
    "a subject that is not text": ("e85", {"sub": 7}),
    "an access token": ("e85", {"header": {"typ": "at+jwt"}}),
    "a type that is not text": ("e85", {"header": {"typ": 1}}),
}


@pytest.mark.parametrize(
    "changes",
    [changes for _, changes in REFUSED.values()],
    ids=[f"{item} {case}" for case, (item, _) in REFUSED.items()],
)
def test_items_e78_to_e85_a_token_that_is_not_valid_is_refused_without_the_cause(
    service: Service, provider: OpenIdProvider, changes: dict[str, Any]
) -> None:
    answers = [
        send(service, job_token(provider, service, **changes)) for send in (send_assertion, send_client_assertion)
    ]
    assert [refusal(answer) for answer in answers] == [(400, "invalid_grant"), (401, "invalid_client")]
    same = send_assertion(service, job_token(provider, service, iss="https://unknown.example"))
    assert answers[0].json() == same.json()


def test_item_e84_a_token_is_accepted_once(service: Service, provider: OpenIdProvider) -> None:
    token = job_token(provider, service)
    assert send_assertion(service, token).status_code == 200
    assert refusal(send_assertion(service, token)) == (400, "invalid_grant")
    assert refusal(send_client_assertion(service, token)) == (401, "invalid_client")


def test_item_e84_of_requests_at_the_same_moment_one_counts(service: Service, provider: OpenIdProvider) -> None:
    token = job_token(provider, service)
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(lambda _: send_assertion(service, token), range(4)))
    assert statuses == [200, 400, 400, 400]


def test_item_e84_a_request_that_is_refused_does_not_use_the_token_up(
    service: Service, provider: OpenIdProvider
) -> None:
    token = job_token(provider, service)
    assert refusal(send_assertion(service, token, scope="mcp.audit")) == (400, "invalid_scope")
    assert send_assertion(service, token).status_code == 200


def test_item_e85_a_workload_is_never_a_user(service: Service, provider: OpenIdProvider) -> None:
    claims = claims_of(send_assertion(service, job_token(provider, service, sub="u_demo")).json()["access_token"])
    assert claims["sub"] == "deploy"


def test_item_e85_an_id_jag_is_not_the_token_of_a_workload(service: Service, provider: OpenIdProvider) -> None:
    token = job_token(provider, service, header={"typ": "oauth-id-jag+jwt"})
    assert refusal(send_assertion(service, token, auth=("with-secret", "secret"))) == (400, "invalid_grant")
    for send in (send_assertion, send_client_assertion):
        assert refusal(send(service, token)) == (401, "invalid_client")


def test_item_e87_another_client_than_that_of_the_workload_is_refused(
    service: Service, provider: OpenIdProvider
) -> None:
    for auth in (("with-secret", "secret"), ("with-secret", "wrong")):
        assert refusal(send_assertion(service, job_token(provider, service), auth=auth)) == (401, "invalid_client")
    for send in (send_assertion, send_client_assertion):
        answer = send(service, job_token(provider, service), client_id="indexer")
        assert refusal(answer) == (401, "invalid_client")


def test_item_e87_the_client_of_a_workload_needs_its_token(service: Service) -> None:
    for form in ({}, {"client_secret": "secret"}):
        answer = service.http.post(
            "/oauth2/token", data={"grant_type": "client_credentials", "client_id": "deploy", **form}
        )
        assert refusal(answer) == (401, "invalid_client")


@pytest.mark.parametrize("send", [send_assertion, send_client_assertion])
def test_item_e88_a_scope_beyond_those_of_the_client_is_refused(
    service: Service, provider: OpenIdProvider, send: Any
) -> None:
    for scope in ("mcp.audit", "openid", "mcp.access mcp.audit"):
        assert refusal(send(service, job_token(provider, service), scope=scope)) == (400, "invalid_scope")


def test_item_e88_each_way_needs_its_grant(service: Service, provider: OpenIdProvider) -> None:
    only_assertions = job_token(provider, service, ref="refs/heads/assertions")
    only_credentials = job_token(provider, service, ref="refs/heads/credentials")
    assert refusal(send_client_assertion(service, only_assertions)) == (400, "unauthorized_client")
    assert refusal(send_assertion(service, only_credentials)) == (400, "unauthorized_client")


@pytest.mark.parametrize("token", [None, "", "abc", "a.b", "a.b.c.d", "a" * 16385], ids=lambda token: str(token)[:9])
def test_item_e164_an_assertion_that_is_not_a_jwt_is_a_malformed_request(service: Service, token: str | None) -> None:
    assert refusal(send_assertion(service, token)) == (400, "invalid_request")


def test_item_e164_two_assertions_are_a_malformed_request(service: Service, provider: OpenIdProvider) -> None:
    form = {"grant_type": JWT_BEARER, "assertion": [job_token(provider, service), job_token(provider, service)]}
    assert refusal(service.http.post("/oauth2/token", data=form)) == (400, "invalid_request")


def test_item_e89_text_that_cannot_be_read_is_refused(service: Service) -> None:
    assert refusal(send_assertion(service, "a.b.c")) == (400, "invalid_grant")
    assert refusal(send_client_assertion(service, "a.b.c")) == (401, "invalid_client")


@pytest.mark.parametrize("send", [send_assertion, send_client_assertion])
def test_item_e90_keys_that_are_not_available_are_not_the_fault_of_the_workload(
    service: Service, provider: OpenIdProvider, send: Any
) -> None:
    answer = send(service, job_token(provider, service, iss="http://localhost:9", team="one"))
    assert refusal(answer) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def check(folder: Path, issuer: dict[str, Any], when: dict[str, Any], second: dict[str, Any] | None = None) -> Any:
    clients = [{"client_id": "ci", "workloads": [{"issuer": "jobs", "when": when}]}]
    if second is not None:
        clients.append({"client_id": "other", "workloads": [{"issuer": "jobs", "when": second}]})
    declared = {"workload_issuers": [{"id": "jobs", **issuer}], "clients": clients}
    (folder / "auth.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    return AuthSettings(config=folder / "auth.yaml", issuer="https://auth.example.com")


GITHUB = {"kind": "github"}
SUFFICIENT = {"repository_id": "812", "ref": "refs/heads/main"}


@pytest.mark.parametrize(
    ("issuer", "when", "second", "words"),
    [
        ({"kind": "kubernetes"}, {"sub": POD}, None, "kind kubernetes needs issuer"),
        ({"issuer": "http://issuer.example"}, {"sub": "x"}, None, "must be https"),
        ({**GITHUB, "id": "Jobs"}, SUFFICIENT, None, "lower-case"),
        ({**GITHUB, "id": "other"}, SUFFICIENT, None, "no workload issuer has the id jobs"),
        ({**GITHUB, "jwks_file": "a", "ca_file": "b"}, SUFFICIENT, None, "not both"),
        (GITHUB, {}, None, "workloads.0.when"),
        (GITHUB, {"repository_id": 812}, None, "workloads.0.when.repository_id"),
        (GITHUB, {"sub": "repo:octo/*"}, None, "not a wildcard"),
        (GITHUB, {"ref": " "}, None, "needs the name of a claim and a value"),
        (GITHUB, {"ref": "r" * 401}, None, "at most 200 and 400 characters"),
        (GITHUB, SUFFICIENT, SUFFICIENT, "could be ci as well as other"),
        (GITHUB, SUFFICIENT, {"repository_id": "812"}, "could be ci as well as other"),
        (GITHUB, SUFFICIENT, {"repository_id": "812", "environment": "prod"}, "could be ci as well as other"),
    ],
)
def test_item_e79_wrong_declarations_are_named(
    tmp_path: Path, issuer: dict[str, Any], when: dict[str, Any], second: dict[str, Any] | None, words: str
) -> None:
    with pytest.raises(DeclarationInvalid) as caught:
        load_declaration(check(tmp_path, issuer, when, second))
    assert words in str(caught.value)


def test_item_e79_clients_with_different_branches_can_share_a_repository(tmp_path: Path) -> None:
    load_declaration(check(tmp_path, GITHUB, SUFFICIENT, {**SUFFICIENT, "ref": "refs/heads/next"}))


@pytest.mark.parametrize(
    ("grants", "methods", "words"),
    [(["authorization_code"], [], "workloads need one of the grants"), (["client_credentials"], ["none"], "public")],
)
def test_a_client_with_workloads_needs_their_grant_and_is_not_public(
    tmp_path: Path, grants: list[str], methods: list[str], words: str
) -> None:
    settings = check(tmp_path, GITHUB, SUFFICIENT)
    declared = yaml.safe_load((tmp_path / "auth.yaml").read_text())
    declared["clients"][0] |= {
        "grant_types": grants,
        "auth_methods": methods,
        "redirect_uris": ["https://app.example.com/callback"],
    }
    (tmp_path / "auth.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(DeclarationInvalid) as caught:
        load_declaration(settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"repository": "octo/deploy", "ref": "refs/heads/main"}, ["names, which others can take"]),
        ({"repository_id": "812"}, ["pull requests"]),
        ({"repository_id": "812", "sub": "repo:octo/deploy:pull_request"}, ["pull requests"]),
        ({"sub": "repo:octo/deploy:ref:refs/heads/main"}, ["names, which others can take"]),
        ({"repository": "octo/deploy"}, ["names, which others can take", "pull requests"]),
        (SUFFICIENT, []),
        ({"repository_id": "812", "environment": "production"}, []),
    ],
)
def test_items_e80_and_e81_weak_conditions_are_warnings(tmp_path: Path, when: dict[str, Any], words: list[str]) -> None:
    (tmp_path / "jobs.jwks").write_text(json.dumps({"keys": [OTHER_KEY.as_dict(private=False)]}))
    results = asyncio.run(check_workload_issuers(check(tmp_path, {**GITHUB, "jwks_file": "jobs.jwks"}, when)))
    assert all(result.ok for result in results)
    warnings = [str(result) for result in results if result.warning]
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_items_e80_and_e81_weak_conditions_are_in_the_log_at_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log_weak_conditions(load_declaration(check(tmp_path, GITHUB, {"repository": "octo/deploy"})))
    assert "names, which others can take" in caplog.text
    assert "pull requests" in caplog.text


def test_item_e90_the_doctor_names_the_file_for_keys_that_cannot_be_fetched(
    tmp_path: Path, provider: OpenIdProvider
) -> None:
    results = asyncio.run(check_workload_issuers(check(tmp_path, {"issuer": provider.issuer}, {"sub": "x"})))
    assert all(result.ok for result in results)
    assert any("the audience https://auth.example.com or" in result.what for result in results)
    unreachable = check(tmp_path, {"issuer": "http://localhost:9"}, {"sub": "x"})
    failed = [result for result in asyncio.run(check_workload_issuers(unreachable)) if not result.ok]
    assert len(failed) == 1
    assert "jwks_file" in failed[0].hint
    assert "ca_file" in failed[0].hint


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
def test_item_e90_a_key_file_without_a_usable_key_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "jobs.jwks").write_text(content)
    declared = load_declaration(check(tmp_path, {**GITHUB, "jwks_file": "jobs.jwks"}, SUFFICIENT))
    with pytest.raises(DeclarationInvalid) as caught:
        load_workload_issuers(declared.workload_issuers, issuer="https://auth.example.com", clock=lambda: 0.0)
    assert "workload issuer jobs: jwks_file" in str(caught.value)


def test_this_service_is_not_a_workload_issuer(tmp_path: Path) -> None:
    declared = load_declaration(check(tmp_path, {"issuer": "https://auth.example.com"}, {"sub": "x"}))
    with pytest.raises(DeclarationInvalid) as caught:
        load_workload_issuers(declared.workload_issuers, issuer="https://auth.example.com", clock=lambda: 0.0)
    assert "own tokens" in str(caught.value)
