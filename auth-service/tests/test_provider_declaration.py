"""`identity_providers` and `sign_in` of auth.yaml: presets, and errors with their place and a hint."""

import asyncio
import secrets
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from openid_provider import OpenIdProvider
from provider_users import CompanyUser, declare, declare_second, start_with_provider
from redis.asyncio import Redis
from running_auth import StartService
from signing_in import Page, Person, Request

from auth_service.accounts.claim_rules import apply_rules, claim_values
from auth_service.accounts.identities import Identities
from auth_service.accounts.store import AccountStore
from auth_service.declaration import DeclarationInvalid
from auth_service.declaration_file import load_declaration
from auth_service.declared_providers import ClaimRule, DeclaredProvider, check_identity_providers
from auth_service.federation.declared_issuers import find_changed_issuer
from auth_service.federation.identity_provider import IdentityProvider, load_providers
from auth_service.federation.people import People, PersonRefused, SignInAtProvider
from auth_service.federation.provider_errors import ProviderFailure
from auth_service.federation.provider_metadata import discovery_url, read_metadata
from auth_service.scopes import IDENTITY_SCOPES, Role
from auth_service.settings import AuthSettings

TENANT = "3f2c0e9a-1111-2222-3333-444455556666"
USUAL: dict[str, Any] = {
    "id": "company",
    "issuer": "https://sso.example.com/realms/staff",
    "client_id": "auth-service",
    "client_secret_file": "provider.secret",
    "allow": {"everyone": True},
}


def load(folder: Path, sign_in: dict[str, Any] | None = None, **changes: Any) -> IdentityProvider:
    """The provider that this declaration describes; None removes a member."""
    (folder / "provider.secret").write_text("a secret")
    declared = {name: value for name, value in {**USUAL, **changes}.items() if value is not None}
    members = {"identity_providers": [declared], **({"sign_in": sign_in} if sign_in else {})}
    (folder / "auth.yaml").write_text(yaml.safe_dump(members), encoding="utf-8")
    declaration = load_declaration(AuthSettings(config=folder / "auth.yaml"))
    return load_providers(declaration.identity_providers, issuer="https://auth.example.com")["company"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "Contoso"}, "lower-case"),
        ({"issuer": None}, "needs issuer"),
        ({"issuer": "http://sso.example.com"}, "https"),
        ({"issuer": "https://sso.example.com/?x=1"}, "no query"),
        ({"kind": "saml"}, "identity_providers.0.kind"),
        ({"kind": "entra", "issuer": None}, "needs tenant"),
        ({"kind": "entra", "issuer": None, "tenant": "common"}, "GUID"),
        ({"kind": "google", "issuer": None}, "hosted_domains"),
        ({"kind": "google", "hosted_domains": ["example.com"]}, "leave issuer out"),
        ({"tenant": TENANT}, "tenant is for kind entra"),
        ({"kind": "google", "issuer": None, "hosted_domains": ["example.com"], "tenant": TENANT}, "tenant is for kind"),
        ({"hosted_domains": ["example.com"]}, "hosted_domains is for kind google"),
        (
            {"kind": "entra", "issuer": None, "tenant": TENANT, "hosted_domains": ["example.com"]},
            "hosted_domains is for kind google",
        ),
        ({"client_secret_file": None}, "client_secret_file or private_key_file"),
        ({"private_key_file": "key"}, "client_secret_file or private_key_file"),
        ({"client_secret_file": "missing"}, "identity provider company: client_secret_file"),
        ({"client_secret_file": None, "private_key_file": "provider.secret"}, "not a JWK"),
        ({"allow": []}, "allow is empty"),
        ({"allow": None}, "identity_providers.0.allow"),
        ({"allow": {"everyone": False}}, "identity_providers.0.allow"),
        ({"allow": [{"claim": "groups", "has": "*"}]}, "not a wildcard"),
        ({"rules": [{"when": {"claim": "groups", "has": " * "}, "scopes": ["mcp.access"]}]}, "not a wildcard"),
        ({"rules": [{"when": {}, "scopes": ["mcp.access"]}]}, "rules.0.when"),
        ({"rules": [{"scopes": ["mcp.access"]}]}, "either `when` or `everyone: true`"),
        ({"rules": [{"everyone": True}]}, "needs `scopes` or `roles`"),
        ({"rules": [{"everyone": True, "scopes": ["mcp.unknown"]}]}, "no resource declares the scopes mcp.unknown"),
        ({"rules": [{"everyone": True, "scopes": ["mcp.audit"]}]}, "roles: [auditor]"),
        ({"rules": [{"everyone": True, "scopes": ["openid"]}]}, "need no rule"),
        ({"rules": [{"everyone": True, "roles": ["admin"]}]}, "rules.0.roles"),
        ({"rules": [{"everyone": True, "roles": ["operator"]}]}, "operator is for local accounts"),
        ({"internal_url": "http://keycloak:8080/realms"}, "scheme, host and port only"),
        ({"unknown": 1}, "identity_providers.0.unknown"),
    ],
    ids=str,
)
def test_items_e58_and_e65_a_wrong_line_stops_the_start_with_its_place(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeclarationInvalid) as refusal:
        load(tmp_path, **changes)
    assert words in refusal.value.description
    assert refusal.value.hint


def test_sign_in_off_needs_a_provider(tmp_path: Path) -> None:
    (tmp_path / "auth.yaml").write_text("sign_in: {local: off}")
    with pytest.raises(DeclarationInvalid, match="no user could sign in"):
        load_declaration(AuthSettings(config=tmp_path / "auth.yaml"))


def test_the_presets(tmp_path: Path) -> None:
    entra = load(tmp_path, kind="entra", issuer=None, tenant=TENANT)
    assert entra.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert entra.preset.subject_claim == "oid"
    google = load(tmp_path, kind="google", issuer=None, hosted_domains=["example.com"])
    assert google.accepted_issuers == {"https://accounts.google.com", "accounts.google.com"}
    assert google.preset.parameters["access_type"] == "offline"
    okta = load(tmp_path, kind="okta", allow=[{"claim": "groups", "has": "mcp"}])
    assert okta.scopes[-1] == "groups"
    assert load(tmp_path, kind="keycloak").redirect_uri == "https://auth.example.com/oauth2/callback/company"
    assert load(tmp_path, scopes=["email"]).scopes == ("openid", "email")


def test_the_internal_url_replaces_the_origin(tmp_path: Path) -> None:
    provider = load(tmp_path, internal_url="http://keycloak:8080")
    assert discovery_url(provider) == "http://keycloak:8080/realms/staff/.well-known/openid-configuration"
    assert provider.internal_address("https://sso.example.com.evil.example/x").startswith("https://sso.example.com.")


METADATA = {
    "issuer": USUAL["issuer"],
    **{name: f"https://sso.example.com/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")},
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"issuer": USUAL["issuer"] + "/"}, "names the issuer 'https://sso.example.com/realms/staff/', not"),
        ({"issuer": None}, "names the issuer None"),
        ({"token_endpoint": "http://sso.example.com/token"}, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "no valid authorization_endpoint"),
        ({"jwks_uri": 7}, "no valid jwks_uri"),
        ({"token_endpoint": "http://127.0.0.1:6379/token"}, "token_endpoint of the metadata is on this machine"),
        ({"userinfo_endpoint": "https://localhost/me"}, "userinfo_endpoint of the metadata is on this machine"),
    ],
    ids=str,
)
def test_items_e4_and_e5_metadata_that_is_not_accepted(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ProviderFailure) as failure:
        read_metadata({**METADATA, **changes}, load(tmp_path))
    assert words in failure.value.description


def test_item_e3_an_unreachable_provider_is_a_page_and_other_ways_stay(
    start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    provider = OpenIdProvider(port=9)  # the port of no service
    service = start_with_provider(start_service, tmp_path, declare(provider), redis_url=own_redis[0])
    user = CompanyUser(service, source="10.13.1.1")
    answer = user.start(Request("app"))
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)
    assert "code" in user.grant(Request("app", {"prompt": "consent"}))
    user.http.close()


@pytest.mark.parametrize(("local", "has_fields"), [("everyone", True), ("operators", True), ("off", False)])
def test_the_sign_in_page_has_the_declared_ways(
    provider: OpenIdProvider,
    start_service: StartService,
    tmp_path: Path,
    own_redis: tuple[str, Any],
    local: str,
    has_fields: bool,
) -> None:
    two = declare(provider, sign_in=f"sign_in: {{local: {local}}}") + declare_second(tmp_path)
    service = start_with_provider(start_service, tmp_path, two, redis_url=own_redis[0])
    user = CompanyUser(service, source="10.13.2.1")
    page = user.open(Request("app").path)
    assert ("password" in Page(page.text).fields) == has_fields
    assert {"Continue with Company account", "Continue with partner"} <= Page(page.text).links.keys()
    if has_fields:
        signed_in = user.sign_in(page)  # the demo user does not have the role operator
        assert ("That username and password do not match" in signed_in.text) == (local == "operators")
    else:
        refused = user.submit(page, username="demo", password="demo", action="sign_in")
        assert "auth_session" not in user.http.cookies
        assert refused.status_code == 200
    user.http.close()


def test_one_provider_and_no_passwords_lead_straight_there(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis: tuple[str, Any]
) -> None:
    declaration = declare(provider, sign_in="sign_in: {local: off}")
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    with_browser = Person(service.issuer.replace("localhost", "127.0.0.1"))
    answer = with_browser.open(Request("app").path)
    assert answer.headers["location"].startswith(f"{provider.issuer}/authorize?")
    sign_in_page = with_browser.http.get(Request("app").path).headers["location"]
    page = with_browser.open(f"{sign_in_page}&switch=yes")
    assert "Continue with Company account" in Page(page.text).links
    assert "error=access_denied" in with_browser.submit(page, action="cancel").headers["location"]
    with_browser.http.close()


def test_an_earlier_issuer_is_not_that_of_another_provider(tmp_path: Path) -> None:
    moved = load(tmp_path, was_issuer="https://other.example.com").declared
    other = moved.model_copy(update={"id": "other", "issuer": moved.was_issuer, "was_issuer": None})
    check_identity_providers((moved,), frozenset({"mcp.access"}))
    with pytest.raises(ValueError, match="was_issuer is the issuer of a declared identity provider"):
        check_identity_providers((moved, other), frozenset({"mcp.access"}))


def test_the_command_that_links_a_person_can_be_pasted(tmp_path: Path, own_redis: tuple[str, Any]) -> None:
    subject = "a'$(id)"
    provider = load(tmp_path, accounts="linked")
    sign_in = SignInAtProvider(provider=provider, claims={"sub": subject}, refresh_token=None)

    async def admit() -> None:
        async with Redis.from_url(own_redis[0], decode_responses=True) as redis:
            store, identities = AccountStore(redis), Identities(redis)
            people = People(identities=identities, store=store, clock=time.time, random_bytes=secrets.token_bytes)
            await people.admit(sign_in)

    with pytest.raises(PersonRefused) as refused:
        asyncio.run(admit())
    assert shlex.split(refused.value.hint)[-2:] == ["--subject", subject]


def test_item_e51_a_changed_issuer_or_id_stops_the_start(tmp_path: Path) -> None:
    def declared(**changes: Any) -> tuple[DeclaredProvider, ...]:
        return (load(tmp_path, **changes).declared,)

    known = {"https://old.example.com": "company"}
    failure = find_changed_issuer(declared(), known)
    assert failure is not None
    assert "its issuer was https://old.example.com" in failure.description
    assert find_changed_issuer(declared(was_issuer="https://old.example.com"), known) is None
    renamed = find_changed_issuer(declared(), {USUAL["issuer"]: "before"})
    assert renamed is not None
    assert "was called before" in renamed.description
    assert find_changed_issuer(declared(), {}) is None
    both = {**known, USUAL["issuer"]: "company"}
    assert find_changed_issuer(declared(was_issuer="https://old.example.com"), both) is None
    assert find_changed_issuer(declared(), both) is not None, "people are still linked at the first issuer"


@pytest.mark.parametrize(
    ("item", "claims", "path", "values"),
    [
        ("E53", {}, "groups", ()),
        ("E55", {"groups": "staff audit"}, "groups", ("staff audit",)),
        ("E56", {"realm_access": "roles"}, "realm_access.roles", ()),
        ("E56", {"realm_access": {"roles": ["a", 1, None]}}, "realm_access.roles", ("a",)),
        ("E57", {"groups": ["Staff"]}, "groups", ("Staff",)),
        ("a name with dots", {"https://example.com/roles": ["a"]}, "https://example.com/roles", ("a",)),
        ("true is not a text", {"groups": True}, "groups", ()),
    ],
)
def test_the_values_of_a_claim(item: str, claims: dict[str, Any], path: str, values: tuple[str, ...]) -> None:
    assert claim_values(claims, path) == values, item


def test_rules_add_up() -> None:
    rules = [
        ClaimRule.model_validate({"everyone": True, "scopes": ["mcp.access"]}),
        ClaimRule.model_validate({"when": {"claim": "groups", "has": "audit"}, "roles": ["auditor"]}),
    ]
    assert apply_rules({}, rules).scopes == {"mcp.access"} | IDENTITY_SCOPES
    auditor = apply_rules({"groups": ["audit"]}, rules)
    assert (auditor.roles, "mcp.audit" in auditor.scopes) == ({Role.AUDITOR}, True)
    assert apply_rules({}, rules[1:]).scopes == frozenset()
