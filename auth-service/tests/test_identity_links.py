"""Items E37 to E52: a person at an identity provider has one account, which no name or e-mail address can take over."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from argon2 import PasswordHasher
from openid_provider import OpenIdProvider
from provider_users import USUAL_RULES, CompanyUser, declare, in_redis, start_with_provider, wait_until
from running_auth import Service, StartService
from signing_in import Page, Request, refresh, sent_to_client

from auth_service.accounts.account import Account
from auth_service.accounts.identities import Identities, Identity
from auth_service.accounts.store import AccountStore
from auth_service.cli import main

LINKED = "    accounts: linked\n    allow: {everyone: true}\n    rules: [{everyone: true, scopes: [mcp.access]}]\n"
PROFILE = Request("app", {"scope": "openid profile email mcp.access"})


@pytest.fixture
def command(company: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command with the service's settings; returns what it printed on either stream."""
    names = ("redis_url", "issuer", "config", "signing_key_kek_file", "secret_pepper_file", "cookie_key_file")

    def run(*words: str, service: Service = company) -> str:
        for name in names:
            monkeypatch.setenv(f"AUTH_{name}".upper(), str(getattr(service.settings, name)))
        monkeypatch.setenv("AUTH_DEMO", "true")
        monkeypatch.setenv("SECURITY_AUDIT_DIR", str(service.settings.security.audit_dir))
        monkeypatch.setattr(sys, "argv", ["auth-service", *words])
        capsys.readouterr()
        try:
            main()
        except SystemExit:
            return capsys.readouterr().err
        return capsys.readouterr().out

    return run


def userinfo(user: CompanyUser) -> dict[str, str]:
    """What userinfo says after a sign-in at the provider."""
    token = user.tokens(PROFILE).json()["access_token"]
    return user.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {token}"}).json()


@pytest.mark.parametrize("verified", [True, False, "true", None])
def test_items_e38_and_e40_the_same_address_or_name_is_another_account(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, verified: object
) -> None:
    address = f"hong-{verified!r}@example.com".replace("'", "-")
    provider.claims |= {"sub": f"first {verified}", "preferred_username": address, "email": address}
    first = userinfo(employee)
    provider.claims |= {"sub": f"second {verified}", "email_verified": verified}
    second = userinfo(company_visitor)
    assert first["sub"] != second["sub"]
    assert (first["preferred_username"], second["preferred_username"]) == (address, f"{address}#company")


def test_names_are_visible_and_addresses_are_whole(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser
) -> None:
    address = f"{'a' * 120}@example.com"
    provider.claims |= {"sub": "long", "name": "Hong\u3164\u202e", "preferred_username": "\u3164", "email": address}
    claims = userinfo(employee)
    assert (claims["name"], claims["email"]) == ("Hong", address)
    assert claims["preferred_username"] == address[:100], "the first visible name"
    provider.claims |= {"email": f"{'a' * 300}@example.com"}
    assert "email" not in userinfo(company_visitor)


def test_the_demo_account_cannot_be_taken_over(provider: OpenIdProvider, employee: CompanyUser) -> None:
    provider.claims |= {"sub": "demo", "preferred_username": "demo", "email": "demo@example.com"}
    assert userinfo(employee)["sub"] not in {"demo", "u_3kT8mWnq0Zr5VxBdJ2yLhA"}


def test_item_e49_a_disabled_account_stays_disabled(
    provider: OpenIdProvider, employee: CompanyUser, company: Service, command
) -> None:
    provider.claims |= {"sub": "item e49", "preferred_username": "e49"}
    tokens = employee.tokens(Request("app")).json()
    command("user", "disable", "e49")
    assert refresh(employee.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert employee.sign_in_at_provider(Request("app")).status_code == 403
    command("user", "disable", "e49", "--undo")
    account = in_redis(company, lambda connection: AccountStore(connection).find_by_name("e49"))
    wait_until(lambda: time.time() > account.signed_out_at_seconds)  # the times of sign-ins are in whole seconds
    assert "code" in employee.grant_with_provider(Request("app", {"prompt": "login"}))


def test_item_e50_a_deleted_account_is_not_made_again_unless_an_operator_allows_it(
    provider: OpenIdProvider, employee: CompanyUser, command
) -> None:
    provider.claims |= {"sub": "item e50", "preferred_username": "e50"}
    before = userinfo(employee)["sub"]
    command("user", "delete", "e50")
    page = employee.sign_in_at_provider(Request("app"))
    assert (page.status_code, "cannot be used here" in page.text) == (403, True)
    command("user", "allow", "--provider", "company", "--subject", "item e50")
    assert userinfo(employee)["sub"] != before


def test_items_e44_and_e46_links_are_neither_moved_nor_lost(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, command
) -> None:
    provider.claims |= {"sub": "item e44", "preferred_username": "e44"}
    userinfo(employee)
    provider.claims |= {"sub": "another", "preferred_username": "e44-other"}
    userinfo(company_visitor)
    refused = command("user", "link", "e44-other", "--provider", "company", "--subject", "item e44")
    assert "linked to another account" in refused
    assert "could not sign in any more" in command("user", "unlink", "e44", "--provider", "company")
    shown = json.loads(command("user", "identities", "e44", "--json"))
    assert [(row["provider"], row["subject"]) for row in shown] == [("company", "item e44")]


def test_items_e37_and_e48_only_linked_people_sign_in(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis, command
) -> None:
    provider.claims |= {"sub": "item e37", "preferred_username": "e37", "email": "e37@example.com"}
    service = start_with_provider(start_service, tmp_path, declare(provider, more=LINKED), redis_url=own_redis[0])
    user = CompanyUser(service, source="10.14.1.1")
    page = user.sign_in_at_provider(Request("app"))
    assert (page.status_code, "cannot be used here" in page.text) == (403, True)
    (tmp_path / "staff.csv").write_text("subject,username,name,email\nitem e37,e37,Hong,\nother,e37-2,Kim,\n")
    words = ("user", "import", str(tmp_path / "staff.csv"), "--provider", "company", "--json")
    added = json.loads(command(*words, service=service))
    assert [row["username"] for row in added] == ["e37", "e37-2"]
    assert json.loads(command(*words, service=service)) == []
    assert userinfo(user)["sub"] == added[0]["subject"]
    user.http.close()


def test_item_e43_an_account_belongs_to_one_person_of_a_provider(
    provider: OpenIdProvider, employee: CompanyUser, command
) -> None:
    provider.claims |= {"sub": "item e43", "preferred_username": "e43"}
    userinfo(employee)
    refused = command("user", "link", "e43", "--provider", "company", "--subject", "another e43")
    assert "linked to another person of company" in refused
    assert command("user", "link", "e43", "--provider", "company", "--subject", "item e43") == "", "linked already"
    assert [row["subject"] for row in json.loads(command("user", "identities", "e43", "--json"))] == ["item e43"]


@pytest.mark.parametrize("subject", ["", "a\x7fb", "x" * 256])
def test_what_cannot_be_a_subject_is_not_linked(employee: CompanyUser, command, subject: str) -> None:
    assert "cannot be a subject" in command("user", "allow", "--provider", "company", "--subject", subject)


def test_object_ids_of_entra_are_read_in_any_case(tmp_path: Path, own_redis, company: Service, command) -> None:
    tenant, object_id = "3f2c0e9a-1111-2222-3333-444455556666", "8F2B0C1E-0000-4000-8000-00000000000A"
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "auth.yaml").write_text(
        f"""
identity_providers:
  - {{id: contoso, kind: entra, tenant: {tenant}, client_id: a, client_secret_file: secret, allow: {{everyone: true}}}}
"""
    )
    settings = company.settings.model_copy(update={"config": tmp_path / "auth.yaml", "redis_url": own_redis[0]})
    contoso = replace(company, settings=settings)
    (tmp_path / "staff.csv").write_text(f"subject,username,name,email\n{object_id},hong,Hong,\n")
    command("user", "import", str(tmp_path / "staff.csv"), "--provider", "contoso", service=contoso)
    shown = json.loads(command("user", "identities", "hong", "--json", service=contoso))
    assert [row["subject"] for row in shown] == [object_id.lower()]
    refused = command("user", "link", "hong", "--provider", "contoso", "--subject", "hong", service=contoso)
    assert "is not an object id" in refused


def test_after_a_wrong_link_was_corrected_the_first_person_has_no_access(
    provider: OpenIdProvider, employee: CompanyUser, company_visitor: CompanyUser, company: Service, command
) -> None:
    account = Account(subject="u_linked_twice", username="kang", name="Kang")
    in_redis(company, lambda connection: AccountStore(connection).add(account, PasswordHasher().hash("long enough")))
    command("user", "link", "kang", "--provider", "company", "--subject", "wrong person")
    provider.claims |= {"sub": "wrong person"}
    tokens = employee.tokens(Request("app")).json()
    command("user", "unlink", "kang", "--provider", "company")
    command("user", "link", "kang", "--provider", "company", "--subject", "right person")
    provider.claims |= {"sub": "right person"}
    ended_at = in_redis(
        company, lambda connection: AccountStore(connection).find(account.subject)
    ).signed_out_at_seconds
    wait_until(lambda: time.time() > ended_at)  # the times of sign-ins are in whole seconds
    assert company_visitor.tokens(Request("app")).status_code == 200
    assert Page(employee.open(Request("app").path).text).action == "/oauth2/sign-in"
    assert refresh(employee.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_commands_find_people_from_before_the_issuer_changed(
    provider: OpenIdProvider, start_service: StartService, tmp_path: Path, own_redis, command
) -> None:
    before = "https://before.example.com"
    old = Identity(
        provider="company",
        issuer=before,
        subject="deleted before",
        account="u_deleted_before",
        linked_at_seconds=1,
        checked_at_seconds=1,
        is_deleted=True,
    )
    declaration = declare(provider, more=f"    was_issuer: {before}\n{USUAL_RULES}")
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    in_redis(service, lambda connection: Identities(connection).link(old))
    (tmp_path / "staff.csv").write_text("subject,username,name,email\ndeleted before,again,Hong,\n")
    words = ("user", "import", str(tmp_path / "staff.csv"), "--provider", "company", "--json")
    assert json.loads(command(*words, service=service)) == [], "the account was deleted"
    (tmp_path / "auth.yaml").write_text(declare(provider))
    assert f"its issuer was {before}" in command(*words, service=service)
    (tmp_path / "auth.yaml").write_text(declaration)
    command("user", "allow", "--provider", "company", "--subject", "deleted before", service=service)
    assert [row["username"] for row in json.loads(command(*words, service=service))] == ["again"]
    (tmp_path / "auth.yaml").write_text(declare(provider))
    assert f"its issuer was {before}" in command(*words, service=service), "also after a link at the new issuer"


def test_item_e52_without_its_provider_a_user_has_no_access(
    provider: OpenIdProvider, start_service: StartService, own_redis, tmp_path: Path
) -> None:
    provider.claims |= {"sub": "item e52"}
    declaration = declare(provider)
    service = start_with_provider(start_service, tmp_path, declaration, redis_url=own_redis[0])
    user = CompanyUser(service, source="10.14.2.1")
    tokens = user.tokens(Request("app")).json()
    (tmp_path / "auth.yaml").write_text(declaration.partition("identity_providers:")[0])
    without = start_service(config=tmp_path / "auth.yaml", redis_url=own_redis[0], issuer=service.issuer)
    assert refresh(without.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert without.http.get("/oauth2/callback/company").status_code == 404
    user.http.close()


def test_an_account_of_the_form_before_identity_providers_still_signs_in(
    company: Service, employee: CompanyUser
) -> None:
    """The document and keys as the release before this one wrote them."""
    parts = company.app.state.parts
    document = (
        '{"subject":"u_stored_before","username":"stored","name":"Stored","email":null,"roles":["auditor"],'
        '"disabled":false,"created_at_seconds":1.5,"signed_out_at_seconds":0}'
    )
    with redis.Redis.from_url(parts.settings.redis_url) as connection:
        connection.set("auth:account:u_stored_before", document)
        connection.set("auth:account-name:stored", "u_stored_before")
        connection.set("auth:password:u_stored_before", PasswordHasher().hash("a long password"))
    page = employee.sign_in(employee.open(Request("app", {"scope": "mcp.audit"}).path), "stored", "a long password")
    assert Page(page.text).action == "/oauth2/consent"
    assert "code" in sent_to_client(employee.allow(page))
