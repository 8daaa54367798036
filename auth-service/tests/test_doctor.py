"""The doctor reports no problem for a correct service, and each fault with a hint."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from running_auth import Service, StartService, free_port

from auth_service.cli import doctor
from auth_service.cli.doctor import run_checks
from auth_service.settings import AuthSettings
from local_stack.command_server import run_command
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets
from security_common.encryption import Keyring
from security_common.service import CheckResult, connect_redis


@pytest.fixture(scope="module")
def healthy_service(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service as in compose.yaml: Redis with users, and secrets from `setup`."""
    directory = tmp_path_factory.mktemp("healthy_service")
    made = directory / "secrets"
    make_secrets(made)
    with RedisServer(directory / "redis", free_port(), made / "redis/users.acl") as server:
        names = ("signing_key_kek", "secret_pepper", "cookie_key", "redis_password")
        service = start_service(
            redis_url=server.url.replace("//", "//auth@"),
            demo=False,
            **{f"{name}_file": made / "auth" / name for name in names},
        )
        deadline = time.monotonic() + 60
        while len(service.http.get("/.well-known/jwks.json").json()["keys"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield service


def results_of(settings: AuthSettings) -> list[CheckResult]:
    async def run() -> list[CheckResult]:
        async with connect_redis(settings) as connection:
            return await run_checks(settings, connection)

    return asyncio.run(run())


def failed_checks(service: Service, **changes: Any) -> dict[str, str]:
    """The failed checks with their hints; the rest of the service is correct."""
    found = results_of(service.settings.model_copy(update=changes))
    return {finding.what: finding.hint for finding in found if not finding.ok}


def test_a_correct_service_passes_every_check(healthy_service: Service) -> None:
    names = ("issuer", "redis_url", "redis_password_file", "signing_key_kek_file", "secret_pepper_file")
    given = {f"AUTH_{name}".upper(): str(getattr(healthy_service.settings, name)) for name in names}
    examined = run_command("auth-service", "doctor", "--json", environment={**os.environ, **given})
    assert examined.returncode == 0, examined.stdout + examined.stderr
    looked_at = {finding["what"].partition(":")[0] for finding in json.loads(examined.stdout)}
    assert looked_at == {
        *("declaration", "resource", "secrets", "clients", "redis", "keys", "clock", "issuer", "metadata documents"),
        *("settings", "port", "audit", "status lists"),
    }


@pytest.mark.parametrize(
    ("setting", "weak"), [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")]
)
def test_a_redis_that_is_not_durable_is_reported(
    start_service: StartService, tmp_path: Path, setting: str, weak: str
) -> None:
    """It also has no users, so the keys of the other service can be read."""
    with RedisServer(tmp_path / "redis", free_port()) as server, redis.Redis(port=server.port) as stored:
        settings = start_service(redis_url=server.url).settings
        stored.config_set(setting, weak)
        found = {finding.what: finding.hint for finding in results_of(settings) if not finding.ok}
    (complaint,) = [what for what in found if f"{setting} is {weak}" in what]
    assert complaint.startswith(f"redis: {setting} is {weak}")
    assert setting in found[complaint]
    assert "ACL" in found["redis: this user can read the keys of the resource service"]


def test_an_unavailable_redis_is_reported(healthy_service: Service) -> None:
    found = failed_checks(healthy_service, redis_url=f"redis://auth@127.0.0.1:{free_port()}/0")
    ((what, hint),) = found.items()
    assert what.startswith("redis: ")
    assert "AUTH_REDIS_URL" in hint


def test_missing_keys_and_keys_encrypted_with_another_kek_are_reported(
    healthy_service: Service, own_redis: Any, tmp_path: Path
) -> None:
    (tmp_path / "kek").write_text(Keyring.generate().dump())
    replaced, unreadable = failed_checks(healthy_service, signing_key_kek_file=tmp_path / "kek").items()
    assert "AUTH_SIGNING_KEY_KEK_FILE: not the secret that was used before" in replaced[0]
    assert unreadable[0].startswith("signing key ")
    assert "AUTH_SIGNING_KEY_KEK_FILE" in unreadable[1]
    empty = failed_checks(healthy_service, redis_url=own_redis[0], redis_password_file=None)
    assert "start the service" in empty["keys: none"]


def test_a_wrong_clock_is_reported(healthy_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "time", SimpleNamespace(time=lambda: time.time() + 60))
    (found,) = failed_checks(healthy_service).items()
    assert found[0].startswith("clock: 60 s ahead")
    assert "NTP" in found[1]


def test_metadata_of_another_issuer_and_an_unreachable_issuer_are_reported(healthy_service: Service) -> None:
    by_address = f"http://127.0.0.1:{healthy_service.settings.port}"
    (found,) = failed_checks(healthy_service, issuer=by_address).items()
    assert found == (f"issuer: the metadata names {healthy_service.issuer}", "set AUTH_ISSUER to that address")
    nowhere = free_port()
    (found,) = failed_checks(healthy_service, issuer=f"http://localhost:{nowhere}", port=nowhere).items()
    assert "ConnectError" in found[0]
    assert "running" in found[1]


def test_an_unreachable_loopback_issuer_is_checked_at_its_own_port(healthy_service: Service) -> None:
    """A container cannot reach the port that its host publishes."""
    (found,) = failed_checks(healthy_service, issuer=f"http://localhost:{free_port()}").items()
    assert found == (f"issuer: the metadata names {healthy_service.issuer}", "set AUTH_ISSUER to that address")


@pytest.mark.parametrize("url", ["http://mcp.example/mcp", "HTTPS://mcp.example/mcp", "https://mcp.example:443/mcp"])
def test_a_resource_that_is_not_normalized_or_not_https_is_reported(
    healthy_service: Service, tmp_path: Path, url: str
) -> None:
    config = tmp_path / "auth.yaml"
    config.write_text(json.dumps({"resources": [{"url": url, "scopes": {"mcp.access": {"ko": "가", "en": "a"}}}]}))
    found = failed_checks(healthy_service, config=config)
    assert "https" in found[f"resource: {url}"]
    assert "restart" in found["declaration: the running service applied another one"]


def test_the_public_secret_of_the_demo_client_is_not_reported(service: Service) -> None:
    found = asyncio.run(doctor.check_secret_files(service.settings))
    assert [finding.what for finding in found if "mcp-client" in finding.what] == []
