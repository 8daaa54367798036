"""Two replicas share all state; killing one loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running_auth import free_port
from signing_in import CALLBACK, Page, Person, Request, redeem, refresh, sent_to_client

DECLARATION = f"""
clients:
  - client_id: app
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["{CALLBACK}"]
    scopes: [offline_access, mcp.access]
"""


class Replica:
    """One process `auth-service serve`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        command = [str(Path(sys.executable).with_name("auth-service")), "serve"]
        self.process = subprocess.Popen(command, env={**environment, "AUTH_PORT": str(self.port)})
        self.http = httpx2.Client(base_url=self.address, timeout=20, verify=False)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def test_registered_clients_and_accounts_survive_a_restart(
    own_redis: Any, secret_files: dict[str, Path], tmp_path: Path
) -> None:
    """Without demo mode: an account, a registered client, its grant and its refresh token."""
    environment = {
        **os.environ,
        "AUTH_ISSUER": "http://localhost:8081",
        "AUTH_REDIS_URL": own_redis[0],
        "AUTH_LOG_LEVEL": "error",
        "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        **{f"AUTH_{name.upper()}": str(path) for name, path in secret_files.items()},
    }
    command = [str(Path(sys.executable).with_name("auth-service")), "user", "add", "kim", "--password-stdin"]
    subprocess.run(command, env=environment, input="a long password\n", text=True, check=True, capture_output=True)
    first = Replica(environment)
    first.wait()
    metadata = {
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    client_id = first.http.post("/oauth2/register", json=metadata).json()["client_id"]
    person = Person(first.address)
    request = Request(client_id, {"scope": "mcp.access offline_access"})
    page = person.sign_in(person.open(request.path), "kim", "a long password")
    tokens = redeem(first.http, request, sent_to_client(person.allow(page))["code"]).json()
    person.http.close()
    assert first.end(signal.SIGTERM) in {0, -signal.SIGTERM}
    first.http.close()
    second = Replica(environment)
    second.wait()
    try:
        again = refresh(second.http, client_id, tokens["refresh_token"])
        assert again.status_code == 200, again.text
        visitor = Person(second.address)
        page = visitor.sign_in(visitor.open(request.path), "kim", "a long password")
        # The consent that was given before the restart is still stored: the client gets its code at once.
        assert redeem(second.http, request, sent_to_client(page)["code"]).status_code == 200
        visitor.http.close()
    finally:
        second.end(signal.SIGTERM)
        second.http.close()


@pytest.fixture
def replicas(own_redis: Any, secret_files: dict[str, Path], tmp_path: Path) -> Iterator[list[Replica]]:
    (tmp_path / "auth.yaml").write_text(DECLARATION)
    environment = {
        **os.environ,
        "AUTH_DEMO": "true",
        "AUTH_ISSUER": "http://localhost:8081",
        "AUTH_CONFIG": str(tmp_path / "auth.yaml"),
        "AUTH_REDIS_URL": own_redis[0],
        "AUTH_LOG_LEVEL": "error",
        "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        **{f"AUTH_{name.upper()}": str(path) for name, path in secret_files.items()},
    }
    started = [Replica(environment) for _ in range(2)]
    for replica in started:
        replica.wait()
    yield started
    for replica in started:
        if replica.process.poll() is None:
            replica.end(signal.SIGTERM)
        replica.http.close()


def test_a_code_of_a_killed_replica_is_redeemed_at_the_other(replicas: list[Replica], tmp_path: Path) -> None:
    """Of twelve parallel redemptions, one succeeds."""
    first, second = replicas
    request = Request("app", {"scope": "mcp.access offline_access"})
    person = Person(first.address)
    code = person.grant(request)["code"]
    person.http.close()
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: redeem(second.http, request, code), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
    second.end(signal.SIGTERM)
    lines = [line for log in (tmp_path / "audit").rglob("security_audit.log") for line in log.read_text().splitlines()]
    issued = [event for event in map(json.loads, lines) if event["event_type"] == "token_issued"]
    assert len(issued) == 1


def test_of_twelve_parallel_redemptions_at_both_replicas_one_succeeds(replicas: list[Replica]) -> None:
    request = Request("app")
    for _ in range(3):
        person = Person(replicas[0].address)
        code = person.grant(request)["code"]
        person.http.close()
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda n, code=code: redeem(replicas[n % 2].http, request, code), range(12)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11


def test_a_sign_in_continues_at_the_other_replica(replicas: list[Replica]) -> None:
    """Sign-in at one replica, which is killed; consent, redemption and refresh at the other."""
    first, second = replicas
    request = Request("app", {"scope": "mcp.access offline_access"})
    person = Person(first.address)
    page = person.sign_in(person.open(request.path))
    assert Page(page.text).action == "/oauth2/consent"
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    person.http.base_url = second.address
    tokens = redeem(second.http, request, sent_to_client(person.allow(page))["code"]).json()
    assert refresh(second.http, "app", tokens["refresh_token"]).status_code == 200
    assert "code" in sent_to_client(person.open(request.path)), "session and consent are known here too"
    person.http.close()


def test_a_refresh_token_of_one_replica_is_valid_at_the_other(replicas: list[Replica]) -> None:
    first, second = replicas
    request = Request("app", {"scope": "mcp.access offline_access"})
    person = Person(first.address)
    tokens = redeem(second.http, request, person.grant(request)["code"]).json()
    person.http.close()
    renewed = refresh(first.http, "app", tokens["refresh_token"])
    assert renewed.status_code == 200, renewed.text
    keys = [replica.http.get("/.well-known/jwks.json").json() for replica in replicas]
    assert keys[0] == keys[1]
