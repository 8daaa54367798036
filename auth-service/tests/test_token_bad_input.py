"""Items 1 to 51: invalid token requests, with the client_credentials grant."""

import hmac
import json
from collections.abc import Mapping
from types import SimpleNamespace
from urllib.parse import urlencode

import jwt
import pytest
from bad_input import DEMO, Row, basic, demo, raw_basic
from client_assertions import ASSERTIONS, CLIENT_KEYS, ISSUER, OTHER_KEYS, assertion
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from running_auth import Service, StartService

from auth_service.clients import authentication, client_assertions, client_secrets, credentials
from auth_service.grants import client_credentials, endpoint
from auth_service.http import forms

ENCODED = urlencode(DEMO).encode()
CHALLENGE = {"www-authenticate": "Basic realm=", "cache-control": "no-store"}
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--x--\r\n'

FRAMING = (
    Row(item="1", case="GET", method="GET", status=405, answer_headers={"allow": "POST"}),
    Row(item="2", case="empty body", status=400, error="invalid_request", content_type=None),
    Row(item="2", case="empty form", status=400, error="invalid_request"),
    Row(item="3", case="JSON", body=b'{"a":1}', content_type="application/json", status=400, error="invalid_request"),
    Row(
        item="3",
        case="a form that calls itself JSON",
        body=ENCODED,
        content_type="application/json",
        status=400,
        error="invalid_request",
        rule="refuse_other_media_types",
    ),
    Row(
        item="4",
        case="multipart",
        body=MULTIPART,
        content_type="multipart/form-data; boundary=x",
        status=400,
        error="invalid_request",
    ),
    Row(item="5", case="query only", path=f"/oauth2/token?{ENCODED.decode()}", status=400, error="invalid_request"),
    Row(
        item="6",
        case="secret in the query",
        path="/oauth2/token?client_secret=secret",
        body=demo(client_secret=None),
        status=401,
        error="invalid_client",
    ),
    Row(item="7", case="no grant_type", body=demo(grant_type=None), status=400, error="invalid_request"),
    Row(item="8", case="password", body=demo(grant_type="password"), status=400, error="unsupported_grant_type"),
    Row(item="8", case="nonsense", body=demo(grant_type="x y"), status=400, error="unsupported_grant_type"),
    Row(item="9", case="grant_type twice", body=ENCODED + b"&grant_type=x", status=400, error="invalid_request"),
    Row(item="9", case="scope twice", body=ENCODED + b"&scope=a&scope=a", status=400, error="invalid_request"),
    Row(item="9", case="an unknown one twice", body=ENCODED + b"&a=1&a=2", status=400, error="invalid_request"),
    Row(item="10", case="secret twice", body=ENCODED + b"&client_secret=x", status=400, error="invalid_request"),
    Row(item="11", case="64 KiB", body=ENCODED + b"&a=" + b"x" * 65536, status=413, error="invalid_request"),
    Row(
        item="12",
        case="65 fields",
        body=ENCODED + b"".join(b"&f%d=1" % number for number in range(62)),
        status=400,
        error="invalid_request",
        rule="refuse_many_fields",
    ),
    Row(item="13", case="not UTF-8", body=ENCODED + b"&scope=%FF", status=400, error="invalid_request"),
    Row(
        item="13",
        case="broken escape",
        body=ENCODED + b"&a=%zz",
        status=400,
        error="invalid_request",
        rule="refuse_broken_escapes",
    ),
    Row(item="14", case="NUL in client_id", body=demo(client_id="mcp\0client"), status=401, error="invalid_client"),
    Row(item="14", case="line end", body=demo(client_id="mcp\r\nclient"), status=401, error="invalid_client"),
    Row(
        item="15",
        case="another charset",
        body=ENCODED,
        content_type="application/x-www-form-urlencoded; charset=iso-8859-1",
        status=400,
        error="invalid_request",
        rule="refuse_other_charsets",
    ),
    Row(item="16", case="wrong case", body=b"Grant_Type=client_credentials", status=400, error="invalid_request"),
    Row(item="17", case="empty grant_type", body=demo(grant_type=""), status=400, error="invalid_request"),
    *(
        Row(item="18", case=method, method=method, status=405, answer_headers={"allow": "POST"})
        for method in ("HEAD", "PUT", "DELETE")
    ),
)

AUTHENTICATION = (
    Row(item="20", case="wrong secret", body=demo(client_secret="x"), status=401, error="invalid_client"),
    Row(item="21", case="unknown client", body=demo(client_id="unknown"), status=401, error="invalid_client"),
    Row(
        item="22",
        case="wrong secret, Basic",
        body={"grant_type": "client_credentials"},
        headers=basic("mcp-client", "x"),
        status=401,
        error="invalid_client",
        answer_headers=CHALLENGE,
    ),
    *(
        Row(
            item=item,
            case=case,
            body={"grant_type": "client_credentials"},
            headers=headers,
            status=401,
            error="invalid_client",
            answer_headers=CHALLENGE,
        )
        for item, case, headers in (
            ("23", "not base64", {"authorization": "Basic !!!"}),
            ("24", "not UTF-8", raw_basic(b"\xff\xfe:secret")),
            ("25", "no colon", raw_basic(b"mcp-client")),
            ("29", "Bearer", {"authorization": "Bearer abc"}),
        )
    ),
    Row(
        item="27",
        case="Basic and a secret",
        body=DEMO,
        headers=basic("mcp-client", "secret"),
        status=400,
        error="invalid_request",
        rule="refuse_two_methods",
    ),
    Row(
        item="28",
        case="Basic for A, client_id B",
        body=demo(client_id="other", client_secret=None),
        headers=basic("mcp-client", "secret"),
        status=400,
        error="invalid_request",
    ),
    Row(
        item="30",
        case="no secret",
        body=demo(client_secret=None),
        status=401,
        error="invalid_client",
        rule="require_a_registered_method",
    ),
    Row(item="30", case="empty secret", body=demo(client_secret=""), status=401, error="invalid_client"),
    Row(item="30", case="no client at all", body=demo(client_id=None), status=401, error="invalid_client"),
    Row(
        item="31",
        case="secret in the form of a Basic-only client",
        body=demo(client_id="basic-only"),
        status=401,
        error="invalid_client",
        rule="require_a_registered_method",
    ),
    Row(
        item="32",
        case="a public client",
        body=demo(client_id="public", client_secret=None),
        status=400,
        error="unauthorized_client",
        rule="check_grant_allowed",
    ),
)

SCOPE_AND_RESOURCE = (
    Row(
        item="41",
        case="not the client's",
        body=demo(scope="mcp.audit"),
        status=400,
        error="invalid_scope",
        rule="check_scopes",
    ),
    Row(item="41", case="unknown client", body=demo(scope="mcp.access nothing"), status=400, error="invalid_scope"),
    Row(item="42", case="a quote", body=demo(scope='mcp"access'), status=400, error="invalid_scope"),
    Row(item="42", case="a backslash", body=demo(scope="mcp\\access"), status=400, error="invalid_scope"),
    Row(item="43", case="spaces and repeats", body=demo(scope=" mcp.access  mcp.access "), status=200),
    Row(item="43", case="spaces only", body=demo(scope="  "), status=200),
    Row(item="44", case="openid", body=demo(scope="openid"), status=400, error="invalid_scope"),
    Row(
        item="44",
        case="offline_access of a client declared with it",
        body=demo(client_id="greedy", scope="offline_access"),
        status=400,
        error="invalid_scope",
    ),
    Row(
        item="46", case="unknown client", body=demo(resource="http://localhost:9/x"), status=400, error="invalid_target"
    ),
    *(
        Row(item="47", case=case, body=demo(resource=resource), status=400, error="invalid_target")
        for case, resource in (
            ("fragment", "http://localhost:8082/mcp#a"),
            ("empty fragment", "http://localhost:8082/mcp#"),
            ("relative", "/mcp"),
            ("no host", "mcp"),
            ("bad port", "http://localhost:x/mcp"),
        )
    ),
    Row(
        item="48",
        case="not the client's",
        body=demo(client_id="narrow", resource="http://localhost:8082/mcp"),
        status=400,
        error="invalid_target",
    ),
    Row(
        item="49",
        case="two resources",
        body=ENCODED + b"&resource=http://localhost:8082/mcp&resource=http://localhost:8083/other",
        status=400,
        error="invalid_target",
    ),
    Row(item="51", case="two slashes", body=demo(resource="http://localhost:8082/mcp//"), status=400),
    Row(item="51", case="the origin alone", body=demo(resource="http://localhost:8082"), status=400),
    Row(item="51", case="a slash more", body=demo(resource="http://localhost:8082/mcp/"), status=200),
    Row(item="51", case="other spelling", body=demo(resource="HTTP://LOCALHOST:8082/mcp"), status=200),
)

ROWS = (*FRAMING, *AUTHENTICATION, *ASSERTIONS, *SCOPE_AND_RESOURCE)

PIPELINES = (
    (forms, "BODY_RULES"),
    (forms, "FIELD_RULES"),
    (credentials, "CREDENTIAL_RULES"),
    (authentication, "CLIENT_RULES"),
    (client_assertions, "ASSERTION_RULES"),
    (endpoint, "GRANT_RULES"),
    (client_credentials, "SCOPE_RULES"),
)

DECLARATION = """
resources:
  - {url: "http://localhost:8082/mcp", default: true, scopes: {mcp.access: {ko: 가, en: a}, mcp.audit: {ko: 나, en: b}}}
  - {url: "http://localhost:8083/other", scopes: {mcp.access: {ko: 가, en: a}}}
clients:
  - {client_id: mcp-client, secret_file: secret}
  - {client_id: basic-only, secret_file: secret, auth_methods: [client_secret_basic]}
  - {client_id: public, grant_types: [authorization_code], redirect_uris: ["http://localhost/callback"]}
  - {client_id: greedy, secret_file: secret, scopes: [mcp.access, offline_access]}
  - {client_id: key-holder, jwks_file: jwks.json}
  - {client_id: narrow, secret_file: secret, resources: ["http://localhost:8083/other"]}
  - {client_id: "a+b%", secret_file: odd_secret}
"""


@pytest.fixture(scope="module")
def declared(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    directory = tmp_path_factory.mktemp("declaration")
    (directory / "secret").write_text("secret\n")
    (directory / "odd_secret").write_text("p+q %&=:ü\n")
    public = {"keys": [key.as_dict(private=False) for key in CLIENT_KEYS.values()]}
    (directory / "jwks.json").write_text(json.dumps(public))
    (directory / "auth.yaml").write_text(DECLARATION)
    return start_service(config=directory / "auth.yaml", trusted_proxies="127.0.0.1", issuer=ISSUER)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_token_request_has_the_expected_response(declared: Service, row: Row) -> None:
    answer = row.send(declared.http)
    assert not row.mistakes(answer), answer.text
    if answer.status_code in {400, 401, 413}:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["error_description"].isascii()
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("rule", [rule for module, name in PIPELINES for rule in getattr(module, name)])
def test_each_rule_matters(declared: Service, monkeypatch: pytest.MonkeyPatch, rule: object) -> None:
    """Without the rule, the response to the row that names it is wrong."""
    row = next(row for row in ROWS if row.rule == rule.__name__)
    for module, name in PIPELINES:
        monkeypatch.setattr(module, name, tuple(kept for kept in getattr(module, name) if kept is not rule))
    assert row.mistakes(row.send(declared.http))


def test_item_19_scripts_of_any_origin_can_request_tokens(declared: Service) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = declared.http.options("/oauth2/token", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


def test_item_19_scripts_of_any_origin_can_use_exactly_these_endpoints(declared: Service) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    open_to_all = {
        *("/oauth2/token", "/oauth2/register", "/oauth2/revoke", "/oauth2/userinfo", "/openapi.json"),
        *("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/jwks.json"),
    }
    for path in declared.paths | {"/nowhere"}:
        for method in ("OPTIONS", "GET", "POST"):
            answer = declared.http.request(method, path, headers=headers)
            assert answer.headers.get("access-control-allow-origin") == ("*" if path in open_to_all else None), path
            assert "access-control-allow-credentials" not in answer.headers


def test_item_21_an_unknown_client_and_a_wrong_secret_have_equal_responses(declared: Service) -> None:
    wrong = declared.http.post("/oauth2/token", data=demo(client_secret="x"))
    unknown = declared.http.post("/oauth2/token", data=demo(client_id="unknown"))
    assert wrong.content == unknown.content
    assert _without_date(wrong.headers) == _without_date(unknown.headers)


def test_item_21_clients_without_a_secret_cost_as_many_comparisons(
    declared: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = list[tuple[int, ...]]()

    def compare(*digests: str) -> bool:
        compared.append(tuple(map(len, digests)))
        return hmac.compare_digest(*digests)

    # Only the comparisons of this module: signing keys that are read in the background compare digests as well.
    monkeypatch.setattr(client_secrets, "hmac", SimpleNamespace(compare_digest=compare))
    for client_id in ("mcp-client", "public", "key-holder", "unknown"):
        headers = {"x-forwarded-for": "192.0.2.4"}
        form = demo(client_id=client_id, client_secret="x")
        assert declared.http.post("/oauth2/token", data=form, headers=headers).status_code == 401
    assert compared == [(64, 64)] * 4


@pytest.mark.parametrize("header", [{}, {"kid": "unknown"}, {"kid": "rsa"}], ids=str)
@pytest.mark.parametrize(("algorithm", "key"), OTHER_KEYS.items())
def test_item_21_clients_without_a_matching_key_cost_as_many_signature_checks(
    declared: Service, monkeypatch: pytest.MonkeyPatch, algorithm: str, key: Key, header: Mapping[str, str]
) -> None:
    scheme, checked = JWSRegistry.algorithms[algorithm], list[str]()
    verify = scheme.verify
    monkeypatch.setattr(scheme, "verify", lambda *parts: checked.append(algorithm) or verify(*parts))
    costs = {}
    for client_id in ("key-holder", "mcp-client", "unknown"):
        form = assertion(algorithm=algorithm, key=key, header=header, iss=client_id, sub=client_id)("")
        headers = {"x-forwarded-for": "192.0.2.3"}
        assert declared.http.post("/oauth2/token", data=form, headers=headers).status_code == 401
        costs[client_id] = len(checked)
        checked.clear()
    assert costs["key-holder"] == costs["mcp-client"] == costs["unknown"] > 0


def test_item_26_basic_credentials_are_form_encoded(declared: Service) -> None:
    headers = basic("a%2Bb%25", "p%2Bq+%25%26%3D%3A%C3%BC")
    answer = declared.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert answer.status_code == 200


def test_item_35_a_client_assertion_can_be_used_once(declared: Service) -> None:
    form = assertion()("")
    answers = [declared.http.post("/oauth2/token", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]


def test_item_40_only_the_address_that_failed_has_to_wait(declared: Service) -> None:
    """After a hundred wrong secrets from one address, the right secret from another address gets a token."""
    attacker, owner = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
    guesses = [declared.http.post("/oauth2/token", data=demo(client_secret="x"), headers=attacker) for _ in range(100)]
    assert {answer.status_code for answer in guesses} == {401, 429}
    last = guesses[-1]
    assert (last.status_code, last.json()["error"]) == (429, "invalid_client")
    assert int(last.headers["retry-after"]) >= 1
    assert declared.http.post("/oauth2/token", data=DEMO, headers=attacker).status_code == 429
    assert declared.http.post("/oauth2/token", data=DEMO, headers=owner).status_code == 200


def test_item_43_scopes_are_normalised(declared: Service) -> None:
    answer = declared.http.post("/oauth2/token", data=demo(scope=" mcp.access  mcp.access "))
    assert answer.json()["scope"] == "mcp.access"


def test_item_50_without_a_resource_the_token_is_for_the_default_resource(declared: Service) -> None:
    """The client_id is an audience only if the operator declares it as an extra audience, as in demo mode."""
    token = declared.http.post("/oauth2/token", data=demo(client_id="greedy")).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "http://localhost:8082/mcp"
    token = declared.http.post("/oauth2/token", data=demo(client_id="narrow")).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "http://localhost:8083/other"


def test_item_73_dpop_is_neither_advertised_nor_accepted(declared: Service) -> None:
    answer = declared.http.post("/oauth2/token", data=DEMO, headers={"dpop": "e30.e30.e30"})
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert not any("dpop" in name for name in declared.http.get("/.well-known/openid-configuration").json())


def test_item_45_client_credentials_get_no_refresh_token(declared: Service) -> None:
    assert "refresh_token" not in declared.http.post("/oauth2/token", data=DEMO).json()


def _without_date(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}
