"""Items 138 to 145: introspection and revocation of tokens."""

from typing import Any

import httpx2
import pytest
from bad_input import Row, demo
from running_auth import Service, StartService

OTHER = "http://localhost:8083/other"
DECLARATION = """
resources:
  - {url: "http://localhost:8082/mcp", default: true, scopes: {mcp.access: {ko: 가, en: a}}}
  - {url: "http://localhost:8083/other", scopes: {mcp.access: {ko: 가, en: a}}}
clients:
  - {client_id: mcp-client, secret_file: secret}
  - {client_id: gateway, secret_file: secret}
  - {client_id: elsewhere, secret_file: secret, resources: ["http://localhost:8083/other"]}
  - {client_id: public, grant_types: [authorization_code], redirect_uris: ["http://localhost/callback"]}
"""


@pytest.fixture(scope="module")
def service(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    directory = tmp_path_factory.mktemp("declaration")
    (directory / "secret").write_text("secret")
    (directory / "auth.yaml").write_text(DECLARATION)
    return start_service(config=directory / "auth.yaml", trusted_proxies="127.0.0.1")


def get_token(service: Service, **changes: str) -> str:
    return service.http.post("/oauth2/token", data=demo(**changes)).json()["access_token"]


def introspect(service: Service, token: str, client_id: str = "mcp-client") -> dict[str, Any]:
    answer = service.http.post("/oauth2/introspect", data={"token": token}, auth=(client_id, "secret"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def revoke(service: Service, token: str, client_id: str = "mcp-client", **more: str) -> httpx2.Response:
    return service.http.post("/oauth2/revoke", data={"token": token, **more}, auth=(client_id, "secret"))


def test_a_valid_token_is_active_with_its_claims(service: Service) -> None:
    members = introspect(service, get_token(service))
    assert members["active"] is True
    assert members["token_type"] == "Bearer"
    assert (members["client_id"], members["sub"], members["scope"]) == ("mcp-client", "mcp-client", "mcp.access")


ROWS = (
    *(
        Row(item=item, case="unknown client", path=path, body={"token": "x"}, status=401, error="invalid_client")
        for item, path in (("138", "/oauth2/introspect"), ("142", "/oauth2/revoke"))
    ),
    Row(item="140", case="GET", path="/oauth2/introspect", method="GET", status=405),
    Row(
        item="141",
        case="a public client",
        path="/oauth2/introspect",
        body={"token": "x", "client_id": "public"},
        status=401,
        error="invalid_client",
    ),
    Row(
        item="138",
        case="no token",
        path="/oauth2/introspect",
        body={"client_id": "mcp-client", "client_secret": "secret"},
        status=400,
        error="invalid_request",
    ),
    Row(item="142", case="GET", path="/oauth2/revoke", method="GET", status=405),
    Row(
        item="142",
        case="a public client",
        path="/oauth2/revoke",
        body={"token": "x", "client_id": "public"},
        status=200,
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_invalid_request_is_refused(service: Service, row: Row) -> None:
    answer = row.send(service.http)
    assert not row.mistakes(answer), answer.text


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "é", "x" * 20_000], ids=lambda token: token[:8])
def test_item_139_a_malformed_token_is_inactive_without_a_reason(service: Service, token: str) -> None:
    assert introspect(service, token) == {"active": False}


def test_item_139_a_damaged_token_is_inactive(service: Service) -> None:
    token = get_token(service)
    head, payload, signature = token.split(".")
    for damaged in (f"{head}.{payload}.{signature[:-4]}AAAA", f"{head}.{payload[:-2]}.{signature}", f"{token}x"):
        assert introspect(service, damaged) == {"active": False}


def test_item_139_a_token_for_another_audience_is_inactive(service: Service) -> None:
    assert introspect(service, get_token(service), client_id="elsewhere") == {"active": False}
    assert introspect(service, get_token(service), client_id="gateway")["active"] is True
    assert introspect(service, get_token(service, resource=OTHER), client_id="elsewhere")["active"] is True


def test_item_139_an_expired_token_is_inactive(start_service: StartService) -> None:
    service = start_service(clock_ahead_seconds=-3600)
    token = service.http.post("/oauth2/token", data=demo()).json()["access_token"]
    now = start_service(issuer=service.issuer)
    answer = now.http.post("/oauth2/introspect", data={"token": token}, auth=("mcp-client", "secret"))
    assert answer.json() == {"active": False}


def test_a_revoked_token_is_inactive_at_once_with_all_tokens_that_the_client_has(service: Service) -> None:
    token, other = get_token(service), get_token(service)
    untouched = get_token(service, client_id="gateway")
    answer = revoke(service, token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert introspect(service, token) == {"active": False}
    assert introspect(service, other) == {"active": False}
    assert introspect(service, untouched, client_id="gateway")["active"] is True
    assert introspect(service, get_token(service))["active"] is True


def test_item_143_a_token_of_another_client_is_not_revoked_and_answered_with_200(service: Service) -> None:
    token = get_token(service)
    assert revoke(service, token, client_id="gateway").status_code == 200
    assert introspect(service, token)["active"] is True


def test_item_144_an_unknown_hint_is_ignored(service: Service) -> None:
    token = get_token(service)
    assert revoke(service, token, token_type_hint="magic").status_code == 200
    assert introspect(service, token) == {"active": False}
