"""`auth-service user` and `auth-service consent`: what an operator does, and what it changes for the person."""

import io
import json
import sys

import pytest
from running_auth import Service
from signing_in import Page, Person, Request, redeem, refresh

from auth_service.cli import main

PASSWORD = "한글 비밀번호 하나"


@pytest.fixture
def command(people: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command with the service's settings; returns what it printed."""
    names = ("redis_url", "issuer", "config", "signing_key_kek_file", "secret_pepper_file", "cookie_key_file")
    for name in names:
        monkeypatch.setenv(f"AUTH_{name}".upper(), str(getattr(people.settings, name)))
    monkeypatch.setenv("AUTH_DEMO", "true")

    def run(*words: str, typed: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["auth-service", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
        capsys.readouterr()  # what the service beside us logged while it started is not the command's
        main()
        return capsys.readouterr().out

    return run


def test_a_person_is_added_signs_in_is_disabled_and_goes(people: Service, person: Person, command) -> None:
    added = json.loads(command("user", "add", "Hong", "--name", "홍길동", "--password-stdin", "--json", typed=PASSWORD))
    assert added[0]["subject"].startswith("u_")
    page = person.open(Request("app", {"scope": "mcp.access mcp.audit"}).path)
    page = person.sign_in(page, "ｈｏｎｇ", PASSWORD)
    assert "홍길동" in page.text
    assert "mcp.audit" not in page.text
    command("user", "role", "hong", "auditor")
    page = person.http.get(str(page.url))
    assert "mcp.audit" in page.text
    command("user", "disable", "hong")
    assert Page(person.open(Request("app").path).text).action == "/oauth2/sign-in"
    assert person.sign_in(person.open(Request("app").path), "hong", PASSWORD).status_code == 400
    command("user", "delete", "hong")
    assert "Hong" not in command("user", "list")


def test_a_name_is_taken_once_however_it_is_written(command, capsys: pytest.CaptureFixture[str]) -> None:
    command("user", "add", "kim", "--password-stdin", typed=PASSWORD)
    with pytest.raises(SystemExit):
        command("user", "add", "KIM ", "--password-stdin", typed=PASSWORD)
    assert "error: there is a user" in capsys.readouterr().err
    command("user", "delete", "kim")


def test_a_short_password_is_refused(command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("user", "add", "lee", "--password-stdin", typed="short")
    assert "hint:" in capsys.readouterr().err


def test_a_consent_is_remembered_listed_and_revoked(people: Service, person: Person, command) -> None:
    request = Request("app", {"scope": "offline_access mcp.access"})
    tokens = redeem(people.http, request, person.grant(request)["code"]).json()
    answer = person.http.get(request.path)
    assert answer.headers["location"].startswith("http://127.0.0.1:7777")
    assert "app" in {row["client_id"] for row in json.loads(command("consent", "list", "demo", "--json"))}
    command("consent", "revoke", "demo", "app")
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Page(person.open(request.path).text).action == "/oauth2/consent"
