"""The commands of an operator, run as processes against a Redis and a running service."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_auth import Service, StartService

from auth_service.cli.commands import app
from local_stack.command_server import run_command

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def own_service(start_service: StartService, own_redis: Any) -> Service:
    return start_service(redis_url=own_redis[0])


@pytest.fixture
def run(own_service: Service, secret_files: dict[str, Path]) -> Run:
    """Runs `auth-service` with the settings of the service."""
    environment = {
        **os.environ,
        "AUTH_DEMO": "true",
        "AUTH_ISSUER": own_service.issuer,
        "AUTH_REDIS_URL": own_service.settings.redis_url,
        "SECURITY_AUDIT_DIR": str(own_service.settings.security.audit_dir),
        **{f"AUTH_{name.upper()}": str(path) for name, path in secret_files.items()},
    }

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return run_command("auth-service", *arguments, environment={**environment, **changes})

    return run


def test_a_client_is_created_listed_used_and_deleted(own_service: Service, run: Run) -> None:
    (made,) = json.loads(run("client", "create", "batch", "--name", "Nightly batch", "--json").stdout)
    listed = json.loads(run("client", "list", "--json").stdout)
    assert {client["client_id"]: client["origin"] for client in listed} == {
        "mcp-client": "declared",
        "batch": "operator",
    }
    assert {client["client_id"]: client["name"] for client in listed}["batch"] == "Nightly batch"
    assert "Nightly batch" in run("client", "list").stdout
    form = {"grant_type": "client_credentials"}
    answer = own_service.http.post("/oauth2/token", data=form, auth=("batch", made["client_secret"]))
    assert answer.status_code == 200
    assert run("client", "create", "batch").stderr.startswith("error: the client batch already exists")
    assert run("client", "delete", "batch").returncode == 0
    missing = run("client", "delete", "batch")
    assert missing.returncode == 1
    assert "hint: " in missing.stderr


@pytest.mark.parametrize("client_id", ["u_1", "https://a.example/c", "a b"])
def test_a_client_id_that_could_be_another_kind_of_id_is_refused(run: Run, client_id: str) -> None:
    assert run("client", "create", client_id).returncode == 1


def test_a_token_is_printed(run: Run) -> None:
    assert run("token").stdout.count(".") == 2
    refused = run("token", "--scope", "nothing")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: invalid_scope")


def test_the_doctor_reports_only_the_redis_of_the_tests(own_service: Service, run: Run) -> None:
    """The Redis of the tests is not durable and has no users."""
    deadline = time.monotonic() + 60
    while len(own_service.http.get("/.well-known/jwks.json").json()["keys"]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    examined = run("doctor", "--json")
    findings = json.loads(examined.stdout)
    wrong = [finding for finding in findings if not finding["ok"]]
    assert examined.returncode == 1
    assert [finding["what"].partition(":")[0] for finding in wrong] == ["redis", "redis"]
    assert all(finding["hint"] for finding in wrong)
    assert {finding["what"].partition(":")[0] for finding in findings} == {
        *("declaration", "clients", "resource", "secrets", "redis", "keys", "clock", "issuer", "metadata documents"),
        *("settings", "port", "audit", "status lists"),
    }


def test_a_client_gets_only_declared_scopes(run: Run) -> None:
    refused = run("client", "create", "mistyped", "--scope", "mcp.acess")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: no resource has the scope mcp.acess\nhint: choose from ")
    assert "mcp.access" in refused.stderr
    assert "mistyped" not in run("client", "list").stdout


def test_the_doctor_reports_what_is_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "auth.yaml").write_text("resources: [{url: 'http://mcp.example/mcp', scopes: {a: {ko: a, en: a}}}]")
    examined = run(
        "doctor", AUTH_CONFIG=str(tmp_path / "auth.yaml"), AUTH_DEMO="false", AUTH_ISSUER="http://localhost:1"
    )
    for complaint in ("FAIL declaration: the running service applied", "FAIL resource: http://mcp", "FAIL issuer: "):
        assert complaint in examined.stdout
    assert examined.stdout.count("hint: ") >= 3


def test_the_doctor_compares_stored_clients_with_the_declaration(run: Run, own_redis: Any, tmp_path: Path) -> None:
    for client_id in ("twice", "outgrown", "bent"):
        assert run("client", "create", client_id, "--redirect-uri", "https://a.example/b").returncode == 0
    _url, stored = own_redis
    for client_id, old, new in (("outgrown", "mcp.access", "mcp.gone"), ("bent", "https://a", "http://a")):
        (key,) = [key for key in stored.scan_iter("auth:client:*") if client_id in key]
        stored.set(key, stored.get(key).replace(old, new))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "auth.yaml").write_text("clients: [{client_id: twice, secret_file: secret}]")
    examined = run("doctor", "--json", AUTH_CONFIG=str(tmp_path / "auth.yaml"))
    wrong = {finding["what"]: finding["hint"] for finding in json.loads(examined.stdout) if not finding["ok"]}
    for what, client_id in (
        ("declaration: the client twice is also stored in Redis", "twice"),
        ("declaration: no resource has the scopes mcp.gone of outgrown", "outgrown"),
        ("redirects: bent has a redirect URI that is not allowed", "bent"),
    ):
        assert f"auth-service client delete {client_id}" in wrong[what]
        assert run("client", "delete", client_id, AUTH_CONFIG=str(tmp_path / "auth.yaml")).returncode == 0
    examined = run("doctor", "--json", AUTH_CONFIG=str(tmp_path / "auth.yaml"))
    assert not any(finding["what"] in wrong for finding in json.loads(examined.stdout) if "twice" in finding["what"])


def test_the_tokens_of_a_client_that_is_not_declared_any_more_can_be_ended(own_service: Service, run: Run) -> None:
    client = ("mcp-client", "secret")
    token = own_service.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=client).json()

    def is_active() -> bool:
        form = {"token": token["access_token"]}
        return own_service.http.post("/oauth2/introspect", data=form, auth=client).json()["active"]

    assert "is declared" in run("client", "delete", "mcp-client").stderr
    assert is_active()
    assert run("client", "delete", "mcp-client", AUTH_DEMO="false").returncode == 0
    assert not is_active()


def test_a_wrong_setting_is_one_error_and_one_hint(run: Run) -> None:
    refused = run("doctor", AUTH_ISSUER="http://auth.example")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: AUTH_ISSUER: ")
    assert "Traceback" not in refused.stderr


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["serve"], ["client", "create"], ["key", "rotate"], ["key", "revoke"], ["token"], ["doctor"]):
        app([*command, "--help"])
        assert f"auth-service {' '.join(command)}" in capsys.readouterr().out
