"""What applies to every endpoint: limits, client addresses, health, settings, and the audit event before a response."""

import asyncio
import errno
import json
import os
import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from bad_input import DEMO
from document_host import offline_fetcher
from hypothesis import given
from hypothesis import strategies as st
from running_auth import Service, StartService, free_port

from auth_service.app import create_app
from auth_service.declaration import DeclarationInvalid, Openness
from auth_service.declaration_file import load_declaration
from auth_service.settings import AuthSettings
from local_stack.redis_server import RedisServer
from security_common.audit import JournalUnavailable
from security_common.edge import ClientAddressReader, network_of
from security_common.service import SecretMissing
from security_common.settings import SecuritySettings, SettingInvalid

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def address(peer: str, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return ClientAddressReader(PROXIES)({"client": (peer, 1), "headers": headers})


def test_the_client_address_is_taken_from_declared_proxies_only() -> None:
    assert address("203.0.113.9", "198.51.100.1") == "203.0.113.9", "no proxy of ours: its word counts nothing"
    assert address("10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2") == "198.51.100.1", "read from the right"
    assert address("10.0.0.1", "6.6.6.6", "198.51.100.1") == "198.51.100.1", "the last line came last"
    assert address("10.0.0.1") == "10.0.0.1"
    assert address("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address("10.0.0.1", "rubbish") == "10.0.0.1"


@given(made_up=st.text(alphabet="0123456789abcdef:., x", max_size=40))
def test_forged_entries_left_of_the_proxy_are_ignored(made_up: str) -> None:
    assert address("10.0.0.1", f"{made_up},198.51.100.1") == "198.51.100.1"


def test_ipv6_addresses_are_counted_by_network_and_others_as_they_are() -> None:
    assert network_of("2001:db8:7:7::1") == network_of("2001:db8:7:7:ffff::2") != network_of("2001:db8:7:8::1")
    for name in ("198.51.100.1", "::ffff:198.51.100.1", "mcp-client", "urn:x:y", "https://a.example/c", "unknown"):
        assert network_of(name) == name


def test_without_declared_proxies_the_header_is_not_read() -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    assert ClientAddressReader(())({"client": ("127.0.0.1", 1), "headers": headers}) == "127.0.0.1"


def test_an_endless_body_is_refused_and_the_connection_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = f"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: {_FORM}\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.settings.port)) as connection:
        connection.sendall(head.encode())
        for _ in range(65):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_a_stalled_body_is_refused(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_service.http.application.BODY_TIMEOUT_SECONDS", 0.2)
    service = start_service()
    head = f"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: {_FORM}\r\ncontent-length: 100\r\n\r\ngrant"
    with socket.create_connection(("127.0.0.1", service.settings.port), timeout=60) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"access-control-allow-origin: *" in answer
    assert b"x-content-type-options: nosniff" in answer


_FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("path", "allowed_origin"),
    [("/oauth2/token", "*"), ("/oauth2/register", "*"), ("/oauth2/authorize", None), ("/nowhere", None)],
)
def test_refusals_of_the_edge_have_the_headers_of_every_response(
    service: Service, path: str, allowed_origin: str | None
) -> None:
    """Otherwise a script that may use the endpoint could not read why its request was refused."""
    origin = {"origin": "https://app.example"}
    too_large = service.http.post(path, content=b"x" * 300_000, headers=origin)
    headers_too_large = service.http.get(path, headers={**origin, "x-filler": "x" * 40_000})
    assert (too_large.status_code, headers_too_large.status_code) == (413, 431)
    for answer in (too_large, headers_too_large):
        assert answer.headers.get("access-control-allow-origin") == allowed_origin
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert service.http.head(path, headers={"x-filler": "x" * 40_000}).content == b""


def test_an_unknown_path_is_answered_with_json(service: Service) -> None:
    answer = service.http.get("/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/oauth2/register%0a", "/oauth2/token%0a", "/oauth2/authorize%0A", "/livez%00"])
def test_a_path_with_a_control_character_is_not_found(service: Service, path: str) -> None:
    refused = service.http.post(path, content=b"x" * 40_000, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    assert (refused.headers["cache-control"], refused.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_a_valid_trace_id_is_recorded_and_an_invalid_one_replaced(start_service: StartService) -> None:
    service = start_service()
    trace = "0af7651916cd43dd8448eb211c80319c"
    for header in (f"00-{trace}-b7ad6b7169203331-01", "00-rubbish-b7ad6b7169203331-01"):
        service.http.post("/oauth2/token", data=DEMO, headers={"traceparent": header})
    issued = [event for event in journal_of(service) if event["event_type"] == "token_issued"]
    assert issued[0]["trace_id"] == trace
    assert len(issued[1]["trace_id"]) == 32


def journal_of(service: Service) -> list[dict[str, Any]]:
    logs = service.settings.security.audit_dir.rglob("security_audit.log")
    return [json.loads(line) for path in logs for line in path.read_text().splitlines()]


def test_metrics_are_served_on_a_port_of_their_own(start_service: StartService) -> None:
    port = free_port()
    service = start_service(metrics_port=port)
    service.http.post("/oauth2/token", data=DEMO)
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'auth_tokens_issued_total{grant_type="client_credentials"} 1.0' in text
    assert 'auth_request_duration_seconds_count{path="/oauth2/token",status="200"} 1.0' in text
    assert service.http.get("/metrics").status_code == 404


def test_no_token_is_issued_without_an_audit_event(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the journal cannot be written, the response is 503 and readiness reports it."""
    service = start_service()
    assert service.http.post("/oauth2/token", data=DEMO).status_code == 200

    def disk_is_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdatasync", disk_is_full)
    answer = service.http.post("/oauth2/token", data=DEMO)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers
    ready = service.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["journal"]["ok"]) == (503, False)


@pytest.mark.anyio
async def test_the_task_of_the_signing_keys_ends_if_the_start_fails(
    own_redis: Any, secret_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full once the journal is open, so that the event about the declaration cannot be recorded."""
    synced: set[int] = set()
    sync = os.fdatasync

    def fill_disk(descriptor: int) -> None:
        if descriptor in synced:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced.add(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", fill_disk)
    settings = AuthSettings(
        redis_url=own_redis[0], demo=True, security=SecuritySettings(audit_dir=tmp_path), **secret_files
    )
    app = create_app(settings, fetcher=offline_fetcher())
    with pytest.raises(JournalUnavailable):
        async with app.router.lifespan_context(app):
            raise AssertionError("the service started")
    assert "signing-keys" not in {task.get_name() for task in asyncio.all_tasks()}


def test_readiness_fails_while_the_service_drains(start_service: StartService) -> None:
    """Load balancers stop sending requests, and those that still arrive are answered."""
    service = start_service()
    assert service.http.get("/readyz").status_code == 200
    service.app.state.readiness.start_draining()
    ready = service.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["process"]["ok"]) == (503, False)
    assert service.http.get("/livez").status_code == 200
    assert service.http.post("/oauth2/token", data=DEMO).status_code == 200


@pytest.mark.parametrize(("api_docs", "status"), [(None, 200), (False, 404)])
def test_the_api_documentation_is_shown_in_demo_mode_or_by_setting(
    start_service: StartService, api_docs: bool | None, status: int
) -> None:
    service = start_service(api_docs=api_docs)
    assert service.http.get("/docs").status_code == status
    assert service.http.get("/docs/swagger-ui-bundle.js").status_code == status


def test_a_head_request_gets_the_headers_of_a_get_request(service: Service) -> None:
    for path in ("/", "/livez", "/openapi.json", "/.well-known/jwks.json", "/favicon.ico", "/oauth2/logout"):
        get, head = service.http.get(path), service.http.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-length"] == get.headers["content-length"], path
    refused = service.http.head("/oauth2/token")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_declared_clients_get_tokens_without_redis(start_service: StartService, tmp_path: Path) -> None:
    """Tokens of declared clients need no Redis; other requests are answered with 503, and readiness reports it."""
    server = RedisServer(tmp_path / "redis", free_port())
    server.start()
    service = start_service(redis_url=server.url)
    assert service.http.get("/readyz").status_code == 200
    server.kill()
    assert service.http.post("/oauth2/token", data=DEMO).status_code == 200
    wrong = service.http.post("/oauth2/token", data={**DEMO, "client_secret": "x"})
    assert wrong.status_code == 401, "failures are counted locally"
    guesses = [service.http.post("/oauth2/token", data={**DEMO, "client_secret": "x"}) for _ in range(12)]
    assert guesses[-1].status_code == 429, "and make wait all the same"
    unknown = service.http.post("/oauth2/token", data={**DEMO, "client_id": "unknown"})
    assert (unknown.status_code, unknown.json()["error"]) == (503, "temporarily_unavailable")
    ready = service.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["redis_write"]["ok"]) == (503, False)
    assert service.http.get("/livez").status_code == 200


def test_a_full_redis_is_reported_and_needs_no_restart(start_service: StartService, tmp_path: Path) -> None:
    """Requests that need a write are answered with 503 and the reason; others still work."""
    server = RedisServer(tmp_path / "redis", free_port())
    server.start()
    service = start_service(redis_url=server.url)
    application = {"redirect_uris": ["http://127.0.0.1/callback"]}
    with redis.Redis.from_url(server.url) as operator:
        operator.config_set("maxmemory", 1)
        full = service.http.post("/oauth2/register", json=application)
        assert (full.status_code, full.json()["error"]) == (503, "temporarily_unavailable")
        assert "store is full" in full.json()["error_description"]
        assert "retry-after" in full.headers
        assert service.http.post("/oauth2/token", data=DEMO).status_code == 200
        assert service.http.get("/readyz").json()["checks"]["redis_write"]["ok"] is False
        operator.config_set("maxmemory", 0)
    assert service.http.post("/oauth2/register", json=application).status_code == 201
    assert service.http.get("/readyz").status_code == 200
    server.kill()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"issuer": "http://localhost:8081/"}, "slash"),
        ({"issuer": "http://auth.example"}, "https"),
        ({"issuer": "https://auth.example/path"}, "path"),
        ({"issuer": "localhost:8081"}, "absolute"),
        ({"demo": True, "issuer": "https://auth.example"}, "loopback"),
        ({"demo": True, "resource": "https://mcp.example/mcp"}, "loopback"),
        ({"trusted_proxies": "not-a-network"}, "network"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingInvalid, match=word):
        AuthSettings(**changes)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in AuthSettings.model_fields.values())


def test_the_error_of_a_missing_secret_names_its_variable_and_the_command_that_creates_it() -> None:
    with pytest.raises(SecretMissing, match="AUTH_SECRET_PEPPER_FILE") as caught:
        create_app(AuthSettings())
    assert "security-common setup" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("clients: [{client_id: a}]", "secret_file"),
        ("clients: [{client_id: u_1, secret_file: s}]", "u_"),
        ("clients: [{client_id: a, secret_file: s, scopes: [nothing]}]", "no resource declares"),
        ("clients: [{client_id: a, secret_file: s}, {client_id: a, secret_file: s}]", "twice"),
        ("clients: [{client_id: a, grant_types: [authorization_code]}]", "redirect_uris"),
        ("colour: blue", "colour"),
        ("clients: [{secret_file: s}]", "client_id"),
        ("clients: [{client_id: a b, secret_file: s}]", "no space"),
        ("clients: {client_id: a}", "clients"),
        ("clients: [a]", "clients"),
        ("1: a", "1"),
        ("clients: [{client_id: a, secret_file: s, secret_expires_at: 2027-13-45}]", "cannot be read"),
        ("- a", "mapping"),
        ("{", "cannot be read"),
    ],
)
@pytest.mark.parametrize("demo", [False, True])
def test_an_invalid_declaration_prevents_the_start_and_is_located(
    tmp_path: Path, text: str, word: str, demo: bool
) -> None:
    (tmp_path / "auth.yaml").write_text(text)
    with pytest.raises(DeclarationInvalid, match=word) as refused:
        load_declaration(AuthSettings(config=tmp_path / "auth.yaml", demo=demo))
    assert "auth.yaml" in f"{refused.value.description} {refused.value.hint}" or "AUTH_CONFIG" in refused.value.hint


def test_members_without_a_value_count_as_absent(tmp_path: Path) -> None:
    (tmp_path / "auth.yaml").write_text("resources:\nclients:\nregistration:\n")
    declaration = load_declaration(AuthSettings(config=tmp_path / "auth.yaml", demo=True))
    assert [client.client_id for client in declaration.clients] == ["mcp-client"]
    assert declaration.resources[0].default


def test_without_a_file_the_hint_names_the_setting() -> None:
    settings = AuthSettings.model_construct(resource=None, config=None)
    with pytest.raises(DeclarationInvalid) as refused:
        load_declaration(settings)
    assert "AUTH_RESOURCE" in refused.value.hint


def test_registration_is_open_on_a_loopback_issuer_only() -> None:
    declared = load_declaration(AuthSettings()).registration
    here, there = declared.resolve_auto("http://localhost:8081"), declared.resolve_auto("https://auth.example")
    assert (here.dynamic, here.metadata_documents) == (Openness.OPEN, Openness.OPEN)
    assert (there.dynamic, there.metadata_documents) == (Openness.LISTED, Openness.LISTED)
    assert {"claude.ai", "vscode.dev", "chatgpt.com"} <= there.hosts
