"""Declared clients: the expiry of their secrets, and the rules for redirect URIs and keys."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auth_service.authorize.client_redirects import client_name
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.declaration import DeclarationInvalid, DeclaredClient
from auth_service.declaration_file import load_declaration
from auth_service.declared_providers import LocalSignIn
from auth_service.protocol import GrantType
from auth_service.settings import AuthSettings
from auth_service.tokens.resources import declared_resources
from auth_service.web.language import Language
from auth_service.web.pages import Pages
from security_common.settings import SettingInvalid

EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_secret_is_accepted_until_it_expires(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 43)
    now_seconds = EXPIRY.timestamp() - 1
    secrets = ClientSecrets(b"p" * 43, os.urandom, clock=lambda: now_seconds)
    declared = DeclaredClient(client_id="batch", secret_file=tmp_path / "secret", secret_expires_at=EXPIRY)
    client = make_client(declared, secrets)
    assert secrets.matches(client, "s" * 43)
    assert not secrets.matches(client, "t" * 43)
    now_seconds = EXPIRY.timestamp()
    assert not secrets.matches(client, "s" * 43)


PUBLIC_KEY = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}


@pytest.mark.parametrize(
    ("member", "value", "problem"),
    [
        ("redirect_uris", ("http://app.example/callback",), "http must point to this machine"),
        ("post_logout_redirect_uris", ("http://app.example/bye",), "http must point to this machine"),
        ("post_logout_redirect_uris", ("javascript:alert(1)",), "scheme javascript"),
        ("jwks_uri", "http://app.example/keys", "jwks_uri must be an https URL"),
        ("jwks_file", {"keys": [PUBLIC_KEY] * 17}, "more than 16 keys"),
        ("jwks_file", PUBLIC_KEY | {"d": "d"}, "private key"),
    ],
)
def test_a_declared_client_follows_the_rules_of_self_described_ones(
    tmp_path: Path, member: str, value: Any, problem: str
) -> None:
    if member == "jwks_file":
        (tmp_path / "keys").write_text(json.dumps(value))
        value = tmp_path / "keys"
    members: dict[str, Any] = {
        "grant_types": {GrantType.AUTHORIZATION_CODE},
        "redirect_uris": ("https://app.example/callback",),
        member: value,
    }
    declared = DeclaredClient(client_id="app", **members)
    with pytest.raises(DeclarationInvalid, match=f"client app: .*{problem}"):
        make_client(declared, ClientSecrets(b"p" * 43, os.urandom))


def test_demo_mode_declares_the_addresses_and_the_client_of_a_gateway(tmp_path: Path) -> None:
    addresses = ("http://localhost:8083/mcp", "http://localhost:8083/mcp/crm")
    (tmp_path / "key").write_text(json.dumps(PUBLIC_KEY))
    given = {"gateway_resources": ",".join(addresses), "gateway_public_key_file": tmp_path / "key"}
    declaration = load_declaration(AuthSettings(demo=True, **given))
    default, *of_gateway = declaration.resources
    assert tuple(resource.url for resource in of_gateway) == addresses
    assert all(resource.scopes == default.scopes for resource in of_gateway)
    client = next(client for client in declaration.clients if client.client_id == "gateway")
    (rule,) = client.may_exchange
    assert (rule.sources, rule.target) == (addresses, default.url)
    assert rule.scopes == {scope: (scope,) for scope in default.scopes}
    elsewhere = load_declaration(AuthSettings(demo=False, **given))
    assert (len(elsewhere.resources), elsewhere.clients) == (1, ())


def test_demo_mode_keeps_what_the_declaration_says_about_a_gateway(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 43)
    (tmp_path / "auth.yaml").write_text(
        "clients: [{client_id: gateway, secret_file: secret}]\nsign_in: {local: operators}\n"
    )
    settings = AuthSettings(
        demo=True,
        config=tmp_path / "auth.yaml",
        gateway_resources="http://localhost:8083/mcp",
        gateway_public_key_file=tmp_path / "key",
    )
    declaration = load_declaration(settings)
    gateways = [client for client in declaration.clients if client.client_id == "gateway"]
    assert [client.may_exchange for client in gateways] == [()]
    assert declaration.sign_in.local is LocalSignIn.OPERATORS


def test_demo_mode_exchanges_the_scopes_that_declared_addresses_of_a_gateway_have(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(json.dumps(PUBLIC_KEY))
    text = {"ko": "도구 사용", "en": "Use the tools"}
    scopes = {"mcp.access": text, "mcp.files": text}
    resources = [
        {"url": "http://localhost:8082/mcp", "scopes": {"mcp.access": text, "mcp.decrypt": text}, "default": True},
        {"url": "http://localhost:8083/mcp", "scopes": scopes},
    ]
    (tmp_path / "auth.yaml").write_text(json.dumps({"resources": resources}))
    settings = AuthSettings(
        demo=True,
        config=tmp_path / "auth.yaml",
        gateway_resources="http://localhost:8083/mcp",
        gateway_public_key_file=tmp_path / "key",
    )
    declaration = load_declaration(settings)
    (gateway,) = [client for client in declaration.clients if client.client_id == "gateway"]
    assert [rule.scopes for rule in gateway.may_exchange] == [{"mcp.access": ("mcp.access",)}]
    assert declared_resources(declaration).find("http://localhost:8083/mcp").scopes.keys() == scopes.keys()


def test_every_process_computes_the_same_fingerprint() -> None:
    code = """if True:
        from auth_service.declaration_file import load_declaration
        from auth_service.settings import AuthSettings
        settings = AuthSettings(demo=True, gateway_resources="http://localhost:8083/mcp", gateway_public_key_file="key")
        print(load_declaration(settings).fingerprint)
    """
    fingerprints = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(fingerprints) == 1


def test_demo_mode_is_refused_for_a_public_gateway() -> None:
    with pytest.raises(SettingInvalid, match="AUTH_GATEWAY_RESOURCES"):
        AuthSettings(demo=True, gateway_resources="https://gateway.example.com/mcp")


@pytest.mark.parametrize(
    ("declared", "korean", "english"),
    [
        ({}, "MCP 서버", "MCP server"),
        ({"name": "Weather"}, "Weather", "Weather"),
        ({"name": {"ko": "날씨", "en": "Weather"}}, "날씨", "Weather"),
    ],
)
def test_a_resource_has_one_name_or_one_for_each_language(
    tmp_path: Path, declared: dict[str, Any], korean: str, english: str
) -> None:
    resource = {"url": "http://localhost:9000/mcp", "scopes": {"mcp.access": {"ko": "조회", "en": "Read"}}, **declared}
    (tmp_path / "auth.yaml").write_text(json.dumps({"resources": [resource]}))
    name = declared_resources(load_declaration(AuthSettings(config=tmp_path / "auth.yaml"))).default.name
    assert (name.ko, name.en) == (korean, english)


@pytest.mark.parametrize(("language", "expected"), [("ko", "감사 기록 페이지"), ("en", "the audit page")])
def test_the_audit_page_has_a_name_in_the_language_of_the_page(tmp_path: Path, language: str, expected: str) -> None:
    (tmp_path / "key").write_text(json.dumps(PUBLIC_KEY))
    declaration = load_declaration(AuthSettings(audit_page_public_key_file=tmp_path / "key"))
    (declared,) = [client for client in declaration.clients if client.client_id == "audit-page"]
    without_key = declared.model_copy(update={"jwks_file": None})
    client = make_client(without_key, ClientSecrets(b"p" * 43, os.urandom))
    pages = Pages(issuer="http://localhost:8081")
    assert client_name(client, client.redirect_uris[0], pages, Language(language)) == expected
