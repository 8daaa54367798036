"""Items 116 to 124: dynamic client registration. What real clients register is in known_clients.yaml."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_auth import Service, StartService
from signing_in import Person, Request

from auth_service.clients import client_metadata, registration

METADATA, REDIRECT = "invalid_client_metadata", "invalid_redirect_uri"

GOOD: dict[str, Any] = {
    "client_name": "Example",
    "redirect_uris": ["http://localhost:8787/callback"],
    "token_endpoint_auth_method": "none",
}


def register(service: Service, members: Any, **headers: str) -> httpx2.Response:
    address = ".".join(str(byte) for byte in secrets.token_bytes(4))
    content = members if isinstance(members, bytes) else json.dumps(members).encode()
    sent = {"content-type": "application/json", "x-forwarded-for": address, **headers}
    return service.http.post("/oauth2/register", content=content, headers=sent)


@pytest.fixture(scope="module")
def open_to_all(start_service: StartService) -> Service:
    return start_service(trusted_proxies="127.0.0.1")


WRONG: tuple[tuple[str, Any, str, str | None], ...] = (
    ("116 not JSON", b"{", METADATA, None),
    ("116 an array", [], METADATA, None),
    ("116 deep JSON", b"[" * 20000, METADATA, None),
    ("117 no redirects", {"redirect_uris": None}, REDIRECT, "check_redirects"),
    ("117 redirects as text", {"redirect_uris": "https://a.example"}, REDIRECT, "check_redirects"),
    *(
        (f"118 {uri}", {"redirect_uris": [uri]}, REDIRECT, "check_redirects")
        for uri in (
            "http://host.example/callback",
            "https://host.example/callback#fragment",
            "https://*.host.example/callback",
            "https://user@host.example/callback",
            "https://host.example/a/../callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://host.example/x",
            "https:///callback",
            "/callback",
        )
    ),
    ("119 unknown grant", {"grant_types": ["authorization_code", "magic"]}, METADATA, "refuse_unknown_values"),
    ("119 no code grant", {"grant_types": ["client_credentials"]}, METADATA, "check_code_grant"),
    ("119 unknown response type", {"response_types": ["code", "magic"]}, METADATA, "refuse_unknown_values"),
    ("119 no code", {"response_types": ["token"]}, METADATA, "check_response_types"),
    ("119 unknown method", {"token_endpoint_auth_method": "magic"}, METADATA, None),
    ("119 keys missing", {"token_endpoint_auth_method": "private_key_jwt"}, METADATA, "check_method"),
    ("119 both keys", {"jwks": {"keys": []}, "jwks_uri": "https://a.example/k"}, METADATA, "check_keys"),
    ("119 keys over http", {"jwks_uri": "http://a.example/k"}, METADATA, "check_keys"),
    ("119 private key", {"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}, METADATA, "check_keys"),
    ("119 too many keys", {"jwks": {"keys": [{"kty": "EC"}] * 17}}, METADATA, "check_keys"),
    ("119 a secret", {"client_secret": "x"}, METADATA, "refuse_secret"),
    ("122 21 redirects", {"redirect_uris": ["https://a.example/b"] * 21}, REDIRECT, "check_redirects"),
)


def members_of(changes: Any) -> Any:
    return {**GOOD, **changes} if isinstance(changes, dict) else changes


@pytest.mark.parametrize(("case", "changes", "error"), [row[:3] for row in WRONG], ids=[row[0] for row in WRONG])
def test_an_invalid_registration_is_refused(open_to_all: Service, case: str, changes: Any, error: str) -> None:
    answer = register(open_to_all, members_of(changes))
    assert (answer.status_code, answer.json()["error"]) == (400, error), case


PIPELINES = ((client_metadata, "METADATA_RULES"), (registration, "REGISTRATION_RULES"))


@pytest.mark.parametrize("rule", [rule.__name__ for module, name in PIPELINES for rule in getattr(module, name)])
def test_each_rule_matters(open_to_all: Service, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    changes = next(row[1] for row in WRONG if row[3] == rule)
    for module, name in PIPELINES:
        monkeypatch.setattr(module, name, tuple(kept for kept in getattr(module, name) if kept.__name__ != rule))
    assert register(open_to_all, members_of(changes)).status_code != 400


def test_item_116_another_media_type_is_refused(open_to_all: Service) -> None:
    answer = register(open_to_all, GOOD, **{"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]) == (400, METADATA)


def test_item_118_private_use_schemes_are_accepted(open_to_all: Service) -> None:
    assert register(open_to_all, members_of({"redirect_uris": ["com.example.app:/callback"]})).status_code == 201


@pytest.mark.parametrize("member", ["client_uri", "logo_uri", "policy_uri", "tos_uri"])
def test_item_96_an_address_with_an_executable_scheme_is_not_stored(open_to_all: Service, member: str) -> None:
    kept, dropped = "https://a.example/about", ("javascript:alert(1)", "data:text/html,x", "http://a.example/", 7)
    assert register(open_to_all, members_of({member: kept})).json()[member] == kept
    for address in dropped:
        assert member not in register(open_to_all, members_of({member: address})).json()


def test_item_119_unknown_members_are_ignored(open_to_all: Service) -> None:
    assert register(open_to_all, members_of({"favourite_colour": "blue"})).status_code == 201


def test_item_120_grants_without_refresh_token_are_accepted(open_to_all: Service) -> None:
    answer = register(open_to_all, members_of({"grant_types": ["authorization_code"]}))
    assert answer.json()["grant_types"] == ["authorization_code"]


def test_item_121_a_public_client_gets_no_secret_and_a_confidential_one_does(open_to_all: Service) -> None:
    public = register(open_to_all, GOOD).json()
    assert "client_secret" not in public
    confidential = register(open_to_all, members_of({"token_endpoint_auth_method": None})).json()
    assert confidential["token_endpoint_auth_method"] == "client_secret_basic"
    assert len(confidential["client_secret"]) == 43
    assert confidential["client_secret_expires_at"] == confidential["client_id_expires_at"]


def test_item_122_a_large_body_is_refused(open_to_all: Service) -> None:
    assert register(open_to_all, {**GOOD, "client_uri": "x" * 33_000}).status_code == 413


def test_item_123_too_many_registrations_get_retry_after_and_the_name_of_the_setting(
    start_service: StartService,
) -> None:
    service = start_service(trusted_proxies="127.0.0.1", registrations_per_hour=5)
    one_address = {"x-forwarded-for": "198.51.100.7"}
    answers = [register(service, GOOD, **one_address) for _ in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [201] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "AUTH_REGISTRATIONS_PER_HOUR" in answers[-1].json()["error_description"]
    assert register(service, GOOD, **{"x-forwarded-for": "198.51.100.8"}).status_code == 201


def test_item_123_addresses_of_one_ipv6_network_are_counted_together(start_service: StartService) -> None:
    """A single host usually has an IPv6 network of 64 bits."""
    service = start_service(trusted_proxies="127.0.0.1", registrations_per_hour=5)
    answers = [register(service, GOOD, **{"x-forwarded-for": f"2001:db8:7:7::{n:x}"}) for n in range(1, 8)]
    assert (answers[0].status_code, answers[-1].status_code) == (201, 429)
    elsewhere = {"x-forwarded-for": "2001:db8:7:8::1"}
    assert register(service, GOOD, **elsewhere).status_code == 201


def test_a_loopback_issuer_accepts_many_registrations(open_to_all: Service) -> None:
    one_address = {"x-forwarded-for": "198.51.100.9"}
    assert {register(open_to_all, GOOD, **one_address).status_code for _ in range(70)} == {201}


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_an_unused_registration_has_an_expiry_time_and_a_visit_extends_it(
    own_redis: tuple[str, Any], start_service: StartService, method: str
) -> None:
    url, stored = own_redis
    service = start_service(redis_url=url)
    made = register(service, members_of({"token_endpoint_auth_method": method})).json()
    key, days = f"auth:client:{made['client_id']}", 24 * 3600
    assert made["client_id_expires_at"] - made["client_id_issued_at"] == 30 * days
    assert made.get("client_secret_expires_at") == (None if method == "none" else made["client_id_expires_at"])
    assert 30 * days - 60 < stored.ttl(key) <= 30 * days
    stored.expire(key, 10 * days)
    person = Person(f"http://127.0.0.1:{service.settings.port}")
    request = Request(made["client_id"], {"redirect_uri": GOOD["redirect_uris"][0]})
    page = person.open(request.path)
    assert 30 * days - 60 < stored.ttl(key) <= 30 * days
    person.allow(person.sign_in(page))
    assert stored.ttl(key) == -1, "a client that a user has allowed does not expire"
    person.open(request.path)
    assert stored.ttl(key) == -1
    person.http.close()


def test_item_124_the_scope_is_what_a_registered_client_may_have(open_to_all: Service) -> None:
    answer = register(open_to_all, members_of({"scope": "mcp.audit everything"})).json()
    assert set(answer["scope"].split()) == {
        *("mcp.access", "mcp.decrypt", "mcp.audit"),
        *("openid", "profile", "email", "offline_access"),
    }


def test_item_109_a_name_is_one_clean_line(open_to_all: Service) -> None:
    answer = register(open_to_all, members_of({"client_name": "A\u202e B\x07   C" + "x" * 200})).json()
    assert answer["client_name"] == "A B C" + "x" * 95


def test_item_125_registrations_cannot_be_changed(open_to_all: Service) -> None:
    """RFC 7592 is not supported: the response has no registration_client_uri and no registration_access_token."""
    made = register(open_to_all, GOOD).json()
    assert not {"registration_client_uri", "registration_access_token"} & made.keys()
    for method in ("GET", "PUT", "DELETE"):
        assert open_to_all.http.request(method, f"/oauth2/register/{made['client_id']}").status_code == 404
        assert open_to_all.http.request(method, "/oauth2/register").status_code == 405


def test_a_registered_client_cannot_use_client_credentials(open_to_all: Service) -> None:
    made = register(open_to_all, members_of({"token_endpoint_auth_method": "client_secret_post"})).json()
    form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"]}
    answer = open_to_all.http.post("/oauth2/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
def test_a_registered_client_may_send_its_secret_in_the_header_or_in_the_body(
    open_to_all: Service, registered: str
) -> None:
    """Either method passes authentication, whichever was registered; a request without the secret does not."""
    made = register(open_to_all, members_of({"token_endpoint_auth_method": registered})).json()
    form = {"grant_type": "client_credentials", "client_id": made["client_id"]}
    header = httpx2.BasicAuth(made["client_id"], made["client_secret"])
    answers = (
        open_to_all.http.post("/oauth2/token", data=form, auth=header),
        open_to_all.http.post("/oauth2/token", data={**form, "client_secret": made["client_secret"]}),
    )
    assert [answer.json()["error"] for answer in answers] == ["unauthorized_client"] * 2
    assert open_to_all.http.post("/oauth2/token", data=form).json()["error"] == "invalid_client"


def test_on_other_issuers_registration_needs_the_initial_token(start_service: StartService, tmp_path: Any) -> None:
    (tmp_path / "token").write_text("the initial token")
    (tmp_path / "auth.yaml").write_text("registration: {initial_access_token_file: token}")
    service = start_service(config=tmp_path / "auth.yaml", demo=False, issuer="https://auth.example")
    refused = register(service, GOOD)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert register(service, GOOD, authorization="Bearer the initial token").status_code == 201


def test_registration_that_is_declared_open_needs_no_token(start_service: StartService, tmp_path: Any) -> None:
    (tmp_path / "token").write_text("the initial token")
    (tmp_path / "auth.yaml").write_text("registration: {dynamic: open, initial_access_token_file: token}")
    service = start_service(config=tmp_path / "auth.yaml")
    assert register(service, GOOD).status_code == 201


def test_on_other_issuers_without_a_token_there_is_no_registration(start_service: StartService) -> None:
    service = start_service(demo=False, issuer="https://auth.example")
    assert register(service, GOOD).status_code == 404
    metadata_document: Mapping[str, Any] = service.http.get("/.well-known/openid-configuration").json()
    assert "registration_endpoint" not in metadata_document
    assert metadata_document["client_id_metadata_document_supported"] is True


@pytest.mark.parametrize(
    "uri",
    [
        *("about:blank", "chrome://settings", "ftp://a/b", "ws://a/b", "wss://a/b", "mailto:a@b.example", "tel:+8210"),
        *(
            "sms:+8210",
            "intent://a#Intent;end",
            "ms-settings:privacy",
            "edge://settings",
            "view-source:https://a.example",
        ),
        *("chrome-extension://abcdef/a", "moz-extension://a/b", "filesystem:http://a.example/b", "urn:a:b", "geo:0,0"),
        *("microsoft-edge:https://evil.example", "googlechrome://evil.example", "x-safari-https://evil.example"),
        *(
            "itms-services://?action=download-manifest",
            "search:query=x&crumb=location",
            "shortcuts://run-shortcut",
            "c:/x",
        ),
        *("JavaScript:alert(1)", "mocha:x", "livescript:x", "search-ms:x", "redis://a/b", "ssh://a/b"),
        *("http://[::1].evil.example/cb", "https://host.example;script-src/cb", "https://host.example'/cb"),
        *("https://host.example./cb", "https://hôst.example/cb", "https://host.example\\@evil.example/cb"),
        *("https://host .example/cb", "https://[::1]evil/cb", "https://host.example:99999/cb", "http://2130706433/cb"),
        *("app://user@host/cb", "app://host;x/cb", "app://[::1].a/cb", "ht\ntps://host.example/cb", "app:/cb\0"),
    ],
    ids=ascii,
)
def test_an_unsuitable_redirect_uri_is_refused(open_to_all: Service, uri: str) -> None:
    answer = register(open_to_all, members_of({"redirect_uris": [uri]}))
    assert (answer.status_code, answer.json()["error"]) == (400, REDIRECT), answer.text


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (f"https://host.example/{'a' * 2048}", "at most 2048 characters"),
        ("https://host.example/a|b", "must be percent-encoded"),
        ("c:/x", "it would be a Windows drive"),
        ("mailto:a@b.example", "it is registered for something else"),
        ("http://host.example/cb", "use https"),
    ],
)
def test_the_refusal_of_a_redirect_uri_says_what_is_wrong(open_to_all: Service, uri: str, reason: str) -> None:
    assert reason in register(open_to_all, members_of({"redirect_uris": [uri]})).json()["error_description"]


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "vscode://vscode.github-authentication/did-authenticate",
            "vscode-insiders://a/b",
            "com.example.app:/callback",
        ),
        *("cursor://anysphere.cursor-mcp/oauth/callback", "windsurf://a/b", "zed://oauth", "warp://mcp/oauth2callback"),
        *("http://localhost:1/cb", "http://127.0.0.1/cb", "http://[::1]:7/cb", "https://host.example:8443/cb?a=1;b=2"),
    ],
)
def test_a_usual_redirect_uri_is_accepted(open_to_all: Service, uri: str) -> None:
    answer = register(open_to_all, members_of({"redirect_uris": [uri]}))
    assert (answer.status_code, answer.json()["redirect_uris"]) == (201, [uri])


@pytest.mark.parametrize("member", ["client_uri", "logo_uri", "policy_uri", "tos_uri"])
def test_the_response_names_members_that_were_left_out(open_to_all: Service, member: str) -> None:
    """RFC 7591 section 3.2.1: the response has what is registered; `warnings` explains what is missing."""
    for address in (
        "javascript:alert(1)",
        "http://a.example/",
        "https://[::1].evil.example/",
        7,
        ["https://a.example"],
    ):
        answer = register(open_to_all, members_of({member: address})).json()
        assert member not in answer
        assert answer["warnings"] == [f"{member} was left out: it must be an https URL"]
    assert "warnings" not in register(open_to_all, members_of({member: "https://a.example/"})).json()


@pytest.mark.parametrize("name", ["\u3164", "\u2800 \u2800", "\u200b\u202e", "\u0301", " "], ids=ascii)
def test_an_invisible_name_is_not_registered(open_to_all: Service, name: str) -> None:
    assert register(open_to_all, members_of({"client_name": name})).json()["client_name"] == "Unnamed client"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.just("https://[::1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    *("redirect_uris", "client_name", "grant_types", "response_types", "scope", "token_endpoint_auth_method", "jwks"),
    *("jwks_uri", "logo_uri", "client_uri", "policy_uri", "tos_uri", "application_type", "post_logout_redirect_uris"),
    *("contacts", "software_id", "software_version", "software_statement", "client_secret", "client_id", "\ud800", ""),
)


@given(st.dictionaries(st.sampled_from(MEMBERS), json_values | st.lists(st.text()), max_size=4))
def test_any_members_are_registered_or_refused(open_to_all: Service, changes: dict[str, Any]) -> None:
    """RFC 7591 section 3.2.2, for any members."""
    refused_or_registered(register(open_to_all, members_of(changes)))


UNUSUAL_BODIES = (
    *(b"\xff\xfe{\x00}\x00", b"", b"null", b'"x"', b"{}{}", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b"{'a':1}"),
    json.dumps({**GOOD, "client_name": "\ud83d"}).encode(),
    json.dumps({**GOOD, "\ud83d": 1}).encode(),
    json.dumps({**GOOD, "client_name": "a\0b"}).encode(),
    json.dumps({**GOOD, "jwks": {"keys": [{"kty": "EC", "x": "\udfff"}]}}).encode(),
    json.dumps({**GOOD, "jwks": {"keys": [{"kty": ["oct"], "x": float("nan")}]}}).encode(),
    json.dumps({**GOOD, "jwks": {"keys": [{"kty": "EC", "x": float("inf")}]}}).encode(),
    json.dumps({**GOOD, "jwks_uri": "https://[::1"}).encode(),
    json.dumps({**GOOD, "logo_uri": "https://[::1"}).encode(),
    json.dumps({**GOOD, "redirect_uris": ["https://[::1"]}).encode(),
    json.dumps({**GOOD, "post_logout_redirect_uris": ["https://[::1"]}).encode(),
    json.dumps({**GOOD, "client_name": "x"}).encode()[:-1] + b',"contacts":' + b"9" * 5000 + b"}",
    json.dumps({**GOOD, "client_name": "x"}).encode()[:-1] + b',"contacts":1e999}',
    json.dumps({**GOOD}).encode()[:-1] + b',"jwks":{"keys":[{"kty":"EC","x":' + b"[" * 900 + b"]" * 900 + b"}]}}",
    json.dumps({**GOOD}).encode()[:-1] + b',"jwks":{"keys":[{"kty":"EC","x":' + b"[" * 200 + b"]" * 200 + b"}]}}",
)


@pytest.mark.parametrize("body", UNUSUAL_BODIES, ids=range(len(UNUSUAL_BODIES)))
def test_an_unusual_body_is_registered_or_refused(open_to_all: Service, body: bytes) -> None:
    refused_or_registered(register(open_to_all, body))


def refused_or_registered(answer: httpx2.Response) -> None:
    members = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    if answer.status_code == 201:
        assert members["client_id"]
        return
    assert (answer.status_code, members["error"] in {METADATA, REDIRECT}) == (400, True), answer.text
    assert members["error_description"].isascii()
