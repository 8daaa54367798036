"""Client authentication at the token endpoint: the forms that real clients send, and the error of each mistake."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from bad_input import basic, demo
from running_auth import Service, StartService

DECLARATION = """
clients:
  - {client_id: basic-only, secret_file: secret, auth_methods: [client_secret_basic]}
  - {client_id: a+b%, secret_file: odd_secret}
"""


@pytest.fixture(scope="module")
def declared(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    directory = tmp_path_factory.mktemp("declaration")
    (directory / "secret").write_text("secret\n")
    (directory / "odd_secret").write_text("p+q %&=:ü\n")
    (directory / "auth.yaml").write_text(DECLARATION)
    return start_service(config=directory / "auth.yaml", trusted_proxies="127.0.0.1")


@pytest.mark.parametrize("secret", ["p+q %&=:ü", "p+q%20%&=", "%zz+", "%ff"], ids=ascii)
@pytest.mark.parametrize("client_id", ["plain", "a+b"])
def test_item_26_basic_credentials_without_form_encoding_are_accepted(
    start_service: StartService, tmp_path: Path, client_id: str, secret: str
) -> None:
    """curl, httpx, requests and Authlib do not form-encode them. RFC 6749 requires it."""
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "auth.yaml").write_text(f"clients: [{{client_id: '{client_id}', secret_file: secret}}]")
    service = start_service(config=tmp_path / "auth.yaml")
    for headers in (basic(client_id, secret), basic(quote_plus(client_id), quote_plus(secret))):
        answer = service.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
        assert answer.status_code == 200, answer.text


def test_item_26_a_wrong_secret_that_can_be_read_in_two_ways_counts_as_one_failure(declared: Service) -> None:
    headers = {"x-forwarded-for": "192.0.2.26", **basic("mcp-client", "a+b%20c")}
    answers = [
        declared.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
        for _ in range(11)
    ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


def test_item_26_both_readings_of_a_client_id_share_one_failure_limit(declared: Service) -> None:
    address = {"x-forwarded-for": "192.0.2.27"}
    statuses = []
    for number in range(20):
        headers = {**address, **basic("a%2Bb%25" if number % 2 else "a+b%", f"wrong{number}")}
        answer = declared.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
        statuses.append(answer.status_code)
    assert statuses.count(401) <= 10


def test_item_28_client_id_in_the_body_may_match_either_encoding_of_the_header(declared: Service) -> None:
    headers = basic("a%2Bb%25", quote_plus("p+q %&=:ü"))
    form = {"grant_type": "client_credentials", "client_id": "a+b%"}
    assert declared.http.post("/oauth2/token", data=form, headers=headers).status_code == 200


def test_item_31_a_correct_secret_with_the_wrong_method_gets_an_explanation(declared: Service) -> None:
    description = declared.http.post("/oauth2/token", data=demo(client_id="basic-only")).json()["error_description"]
    assert "client_secret_basic" in description
    assert "client_secret_post" in description
    wrong = declared.http.post("/oauth2/token", data=demo(client_id="basic-only", client_secret="x")).json()
    assert wrong["error_description"] == "client authentication failed"


def test_unknown_parameters_are_ignored(declared: Service) -> None:
    """RFC 6749 section 3.2. n8n and others send some."""
    answer = declared.http.post("/oauth2/token", data=demo(audience="anything", state="1", display="popup"))
    assert answer.status_code == 200


@pytest.mark.parametrize("left_empty", ["client_assertion", "client_assertion_type", "scope", "resource", "code"])
def test_an_empty_parameter_counts_as_absent(declared: Service, left_empty: str) -> None:
    """RFC 6749 section 3.2."""
    assert declared.http.post("/oauth2/token", data=demo(**{left_empty: ""})).status_code == 200
    headers = basic("mcp-client", "secret")
    form = {"grant_type": "client_credentials", "client_id": "", "client_secret": "", left_empty: ""}
    assert declared.http.post("/oauth2/token", data=form, headers=headers).status_code == 200


def encoded(members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "claims", [{"sub": "\ud800"}, {"sub": "app\udfff"}, {"sub": 1}, {}, [], "app", None], ids=ascii
)
@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_a_malformed_assertion_is_refused_without_a_server_error(
    declared: Service, endpoint: str, claims: object
) -> None:
    assertion = f"{encoded({'alg': 'RS256'})}.{encoded(claims)}.AA"
    form = {"grant_type": "client_credentials", "token": "x", "client_assertion": assertion}
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    answer = declared.http.post(f"/oauth2/{endpoint}", data={**form, "client_assertion_type": kind})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "credentials", [b"\xff", "é".encode(), b"YQ==\x85", b"a", b"%%%", b"Og==", b"7aCAOng="], ids=ascii
)
def test_malformed_basic_credentials_are_refused_without_a_server_error(declared: Service, credentials: bytes) -> None:
    headers = {b"authorization": b"Basic " + credentials}
    answer = declared.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_unknown_client_ids_are_not_stored_in_redis(start_service: StartService, own_redis: Any) -> None:
    """Otherwise one address could fill Redis: each made-up id would have its own key."""
    url, stored = own_redis
    service = start_service(redis_url=url)
    form = {"grant_type": "client_credentials", "client_secret": "x"}
    before = stored.dbsize()
    for number in range(50):
        assert service.http.post("/oauth2/token", data={**form, "client_id": f"made-up-{number}"}).status_code == 401
    assert len(stored.keys("auth:limits*")) == 0
    assert stored.dbsize() <= before + 1  # the audit stream
    statuses = [
        service.http.post("/oauth2/token", data={**form, "client_id": "unknown"}).status_code for _ in range(11)
    ]
    assert statuses == [401] * 10 + [429], "each caller that guesses has to wait, whether the client exists or not"
