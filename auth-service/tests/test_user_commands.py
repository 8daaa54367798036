"""`auth-service user` and `auth-service consent`, and their effects on sessions and tokens."""

import io
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from reading_status_lists import is_revoked
from running_auth import Service
from signing_in import Page, Person, Request, redeem, refresh, sent_to_client

from auth_service.cli import main

PASSWORD = "한글 비밀번호 하나"


@pytest.fixture
def command(people: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command with the service's settings; returns what it printed."""
    names = ("redis_url", "issuer", "config", "signing_key_kek_file", "secret_pepper_file", "cookie_key_file")
    for name in names:
        monkeypatch.setenv(f"AUTH_{name}".upper(), str(getattr(people.settings, name)))
    monkeypatch.setenv("AUTH_DEMO", "true")
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(people.settings.security.audit_dir))

    def run(*words: str, typed: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["auth-service", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
        capsys.readouterr()  # removes what the service logged while it started
        main()
        return capsys.readouterr().out

    return run


def wait_for_the_next_second() -> None:
    """Commands end the sign-ins of the present second as well."""
    ended_at = int(time.time())
    while int(time.time()) == ended_at:
        time.sleep(0.01)


def test_a_user_is_added_signs_in_is_disabled_and_deleted(people: Service, person: Person, command) -> None:
    added = json.loads(command("user", "add", "Hong", "--name", "홍길동", "--password-stdin", "--json", typed=PASSWORD))
    assert added[0]["subject"].startswith("u_")
    page = person.open(Request("app", {"scope": "mcp.access mcp.audit"}).path)
    page = person.sign_in(page, "ｈｏｎｇ", PASSWORD)
    assert "홍길동" in page.text
    assert "Your account does not have this permission" in page.text, "mcp.audit"
    command("user", "role", "hong", "auditor")
    page = person.http.get(str(page.url))
    assert "Your account does not have this permission" not in page.text
    command("user", "disable", "hong")
    assert Page(person.open(Request("app").path).text).action == "/oauth2/sign-in"
    assert person.sign_in(person.open(Request("app").path), "hong", PASSWORD).status_code == 400
    command("user", "delete", "hong")
    assert "Hong" not in command("user", "list")


@pytest.mark.parametrize("words", [("password", "park", "--password-stdin"), ("disable", "park")])
def test_a_new_password_or_disabling_ends_existing_sessions(
    people: Service, person: Person, command, words: tuple[str, ...]
) -> None:
    command("user", "add", "park", "--password-stdin", typed=PASSWORD)
    request = Request("app", {"scope": "offline_access mcp.access"})
    page = person.allow(person.sign_in(person.open(request.path), "park", PASSWORD))
    tokens = redeem(people.http, request, sent_to_client(page)["code"]).json()
    assert "code" in sent_to_client(person.open(request.path))
    command("user", *words, typed=f"{PASSWORD} 둘")
    if "disable" in words:
        command("user", "disable", "park", "--undo")
    assert Page(person.open(request.path).text).action == "/oauth2/sign-in"
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    wait_for_the_next_second()
    again = person.sign_in(person.open(request.path), "park", f"{PASSWORD} 둘" if "password" in words else PASSWORD)
    code = sent_to_client(again)["code"]
    assert refresh(people.http, "app", redeem(people.http, request, code).json()["refresh_token"]).status_code == 200
    command("user", "delete", "park")


def test_taking_the_role_of_an_auditor_away_ends_what_reads_the_audit_trail(
    people: Service, person: Person, command
) -> None:
    command("user", "add", "baek", "--password-stdin", typed=PASSWORD)
    command("user", "role", "baek", "auditor")
    reading, other = Request("app", {"scope": "mcp.access mcp.audit"}), Request("app", {"scope": "mcp.access"})
    page = person.allow(person.sign_in(person.open(reading.path), "baek", PASSWORD))
    tokens = [redeem(people.http, reading, sent_to_client(page)["code"]).json()]
    tokens.append(redeem(people.http, other, sent_to_client(person.open(other.path))["code"]).json())
    command("user", "role", "baek")
    assert [is_revoked(people, each["access_token"]) for each in tokens] == [True, False]
    assert [refresh(people.http, "app", each["refresh_token"]).status_code for each in tokens] == [400, 200]
    command("user", "delete", "baek")


@pytest.mark.parametrize("who", ["everyone", "operators"])
def test_taking_the_role_of_an_operator_away_ends_passwords_that_only_operators_may_use(
    people: Service, person: Person, command, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    declaration = Path(str(people.settings.config))
    later = declaration.with_name(f"{who}.yaml")
    later.write_text(f"{declaration.read_text()}\nsign_in: {{local: {who}}}\n")
    command("user", "add", "ryu", "--password-stdin", typed=PASSWORD)
    command("user", "role", "ryu", "operator")
    request = Request("app", {"scope": "mcp.access"})
    page = person.allow(person.sign_in(person.open(request.path), "ryu", PASSWORD))
    token = redeem(people.http, request, sent_to_client(page)["code"]).json()["access_token"]
    monkeypatch.setenv("AUTH_CONFIG", str(later))
    command("user", "role", "ryu")
    assert is_revoked(people, token) == (who == "operators")
    command("user", "delete", "ryu")


def test_introspection_follows_the_account_and_the_consent(people: Service, person: Person, command) -> None:
    """A refresh token that the token endpoint would refuse is not reported as active."""
    made = command("client", "create", "desk", "--redirect-uri", "http://127.0.0.1:7777/callback", "--json")
    secret = json.loads(made)[0]["client_secret"]
    request = Request("desk", {"prompt": "login consent"})

    def is_active(token: str) -> bool:
        answer = people.http.post("/oauth2/introspect", data={"token": token}, auth=("desk", secret))
        return answer.json()["active"]

    def sign_in_and_redeem() -> str:
        page = person.allow(person.sign_in(person.open(request.path), "choi", PASSWORD))
        code = sent_to_client(page)["code"]
        return redeem(people.http, request, code, client_secret=secret).json()["refresh_token"]

    command("user", "add", "choi", "--password-stdin", typed=PASSWORD)
    first = sign_in_and_redeem()
    assert is_active(first)
    command("consent", "revoke", "choi", "desk")
    assert not is_active(first)
    second = sign_in_and_redeem()
    assert is_active(second)
    command("user", "disable", "choi")
    assert not is_active(second)
    command("user", "delete", "choi")
    command("client", "delete", "desk")


def test_a_deleted_user_leaves_nothing_in_the_store(people: Service, person: Person, command) -> None:
    request = Request("app", {"scope": "mcp.access"})
    added = json.loads(command("user", "add", "jung", "--password-stdin", "--json", typed=PASSWORD))
    person.allow(person.sign_in(person.open(request.path), "jung", PASSWORD))
    subject = added[0]["subject"]
    with redis.Redis.from_url(people.settings.redis_url) as stored:
        assert stored.exists(f"auth:consent:{subject}")
        assert sessions_of(stored, subject)
        command("user", "delete", "jung")
        keys = [key for key in stored.scan_iter("auth:*") if subject.encode() in key]
        sessions = sessions_of(stored, subject)
    assert (keys, sessions) == ([], [])


def sessions_of(stored: redis.Redis, subject: str) -> list[Any]:
    return [key for key in stored.scan_iter("auth:session:*") if subject.encode() in cast("bytes", stored.get(key))]


def test_the_demo_user_is_found_in_every_spelling(command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("user", "disable", "Ｄemo")
    assert "the demo user cannot be changed" in capsys.readouterr().err


def test_a_username_is_unique_in_every_spelling(command, capsys: pytest.CaptureFixture[str]) -> None:
    command("user", "add", "kim", "--password-stdin", typed=PASSWORD)
    with pytest.raises(SystemExit):
        command("user", "add", "KIM ", "--password-stdin", typed=PASSWORD)
    assert "already exists" in capsys.readouterr().err
    command("user", "delete", "kim")


def test_a_short_password_is_refused(command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("user", "add", "lee", "--password-stdin", typed="short")
    assert "hint:" in capsys.readouterr().err


def test_a_consent_is_stored_listed_and_withdrawn(people: Service, person: Person, command) -> None:
    request = Request("app", {"scope": "offline_access mcp.access"})
    tokens = redeem(people.http, request, person.grant(request)["code"]).json()
    answer = person.http.get(request.path)
    assert answer.headers["location"].startswith("http://127.0.0.1:7777")
    listed = {row["client_id"]: row["name"] for row in json.loads(command("consent", "list", "demo", "--json"))}
    assert listed["app"] == "Example application"
    command("consent", "revoke", "demo", "app")
    assert refresh(people.http, "app", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Page(person.open(request.path).text).action == "/oauth2/consent"


def test_changes_by_an_operator_are_recorded(people: Service, person: Person, command) -> None:
    added = json.loads(command("user", "add", "kim", "--password-stdin", "--json", typed=PASSWORD))
    person.sign_in(person.open(Request("app").path))
    person.grant(Request("app"))
    changes = (
        ("user", "password", "kim", "--password-stdin"),
        ("user", "role", "kim", "auditor"),
        ("user", "disable", "kim"),
        ("user", "disable", "kim", "--undo"),
        ("user", "delete", "kim"),
        ("consent", "revoke", "demo", "app"),
        ("client", "create", "recorded"),
        ("client", "delete", "recorded"),
    )
    for words in changes:
        command(*words, typed=PASSWORD)
    with redis.Redis.from_url(people.settings.redis_url, decode_responses=True) as stored:
        entries = [json.loads(entry["event"]) for _id, entry in stored.xrange("audit:events")]
    mine = {
        (entry["action_taken"], entry.get("client_id") or entry["user_id"])
        for entry in entries
        if entry["event_type"] == "operator_change" and "@" in entry["source_address"]
    }
    subject = added[0]["subject"]
    of_the_account = ("added", "password_set", "roles_set", "disabled", "enabled", "deleted")
    assert mine >= {(f"user_{each}", subject) for each in of_the_account}
    assert mine >= {("consent_revoked", "app"), ("client_created", "recorded"), ("client_deleted", "recorded")}


def test_a_change_that_cannot_be_recorded_is_not_made(
    people: Service, command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(tmp_path / "file"))
    with pytest.raises(SystemExit):
        command("client", "create", "unrecorded")
    # Other services log there as well.
    assert any(line.startswith("error: ") for line in capsys.readouterr().err.splitlines())
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(people.settings.security.audit_dir))
    assert "unrecorded" not in command("client", "list")
