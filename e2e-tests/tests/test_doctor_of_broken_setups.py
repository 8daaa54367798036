"""Every set-up that operators break is found by the doctor of a service, with a hint that names what to change.

One stack runs for all rows. A row breaks one thing: a variable of the command, a file that a variable names, or the
embedded Redis. Then the doctor of the named service must fail, and print the expected result and hint.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import yaml

from local_stack.command_server import run_command
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from local_stack.stack import AUTH, MCP, Stack, start_stack
from security_common.cli.setup import make_secrets
from security_common.encryption import Keyring

SCOPES = {"mcp.access": {"ko": "접근", "en": "access"}}


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a row may use: the running stack, an empty folder, and a place for servers that end with the test."""

    stack: Stack
    folder: Path
    servers: ExitStack

    def file(self, name: str, text: str, mode: int = 0o600) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return str(path)

    def declaration(self, **members: object) -> dict[str, str]:
        return {"AUTH_CONFIG": self.file("auth.yaml", yaml.safe_dump(members, allow_unicode=True))}

    def redis(self, **options: str) -> dict[str, str]:
        """Another Redis without users, with these options of CONFIG SET."""
        (port,) = free_ports(1)
        server = self.servers.enter_context(RedisServer(self.folder / "redis", port))
        with redis.Redis(port=port) as client:
            for name, value in options.items():
                client.config_set(name.replace("_", "-"), value)
        return {
            **{f"{prefix}_REDIS_URL": server.url for prefix in ("AUTH", "MCP")},
            **{f"{prefix}_REDIS_PASSWORD_FILE": "" for prefix in ("AUTH", "MCP")},
            "SECURITY_AUDIT_DIR": str(self.folder / "audit"),
        }

    def taken_port(self) -> str:
        listener = self.servers.enter_context(socket.create_server(("127.0.0.1", 0)))
        return str(listener.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Row:
    """A broken set-up: `change` breaks it and returns the variables of the command."""

    name: str
    service: str
    change: Callable[[Workbench], dict[str, str]]
    result: str
    hint: str


def full_redis(bench: Workbench) -> dict[str, str]:
    settings = bench.redis()
    with redis.Redis.from_url(settings["AUTH_REDIS_URL"]) as client:
        used_bytes = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used_bytes + used_bytes // 20)
    return settings


def another_page_key(bench: Workbench) -> dict[str, str]:
    make_secrets(bench.folder / "other")
    return {"MCP_AUDIT_PAGE_PRIVATE_KEY_FILE": str(bench.folder / "other/mcp/audit_page_private_key.json")}


def issuer_with_a_fast_clock(bench: Workbench) -> dict[str, str]:
    """A service whose responses have the time of two minutes from now."""
    return {
        "MCP_TRUSTED_ISSUERS": json.dumps([{"issuer": bench.servers.enter_context(_FastIssuer()), "audience": "x"}])
    }


def expired_secret(bench: Workbench) -> dict[str, str]:
    secret = bench.file("batch_secret", "a" * 43)
    client = {"client_id": "batch", "secret_file": secret, "secret_expires_at": "2020-01-01T00:00:00Z"}
    return bench.declaration(clients=[client])


def no_default_resource(bench: Workbench) -> dict[str, str]:
    urls = ("https://one.example/mcp", "https://two.example/mcp")
    return {**bench.declaration(resources=[{"url": url, "scopes": SCOPES} for url in urls]), "AUTH_DEMO": "false"}


def unreachable_issuer(_: Workbench) -> dict[str, str]:
    (port,) = free_ports(1)
    return {"MCP_ISSUER": f"http://localhost:{port}"}


ROWS = [
    Row(
        "wrong pepper",
        AUTH,
        lambda bench: {"AUTH_SECRET_PEPPER_FILE": bench.file("pepper", "p" * 43)},
        "AUTH_SECRET_PEPPER_FILE: not the secret that was used before",
        "restore the file",
    ),
    Row(
        "wrong data keyring",
        MCP,
        lambda bench: {"SECURITY_ENCRYPTION_KEY_FILE": bench.file("keyring", Keyring.generate().dump())},
        "SECURITY_ENCRYPTION_KEY_FILE: not the secret that was used before",
        "restore the file",
    ),
    Row(
        "page keys that do not match",
        MCP,
        another_page_key,
        "does not accept the key",
        "AUTH_AUDIT_PAGE_PUBLIC_KEY_FILE",
    ),
    Row(
        "wrong chain key",
        MCP,
        lambda bench: {"SECURITY_AUDIT_CHAIN_KEY_FILE": bench.file("chain", "c" * 43)},
        "SECURITY_AUDIT_CHAIN_KEY_FILE: not the secret that was used before",
        "restore the file",
    ),
    Row(
        "resource mismatch between the services",
        AUTH,
        lambda bench: {"AUTH_RESOURCE": f"http://127.0.0.1:{bench.stack.ports.mcp}/mcp", "AUTH_DEMO": "false"},
        "its metadata names http://localhost",
        "MCP_RESOURCE",
    ),
    Row(
        "metrics port taken",
        AUTH,
        lambda bench: {"AUTH_METRICS_PORT": bench.taken_port()},
        "AUTH_METRICS_PORT: 127.0.0.1:",
        "AUTH_METRICS_PORT",
    ),
    Row("misspelled variable", AUTH, lambda _: {"AUTH_ISUER": "x"}, "AUTH_ISUER is not a setting", "AUTH_ISSUER"),
    Row(
        "short secret",
        MCP,
        lambda bench: {"MCP_COOKIE_KEY_FILE": bench.file("cookie", "short")},
        "MCP_COOKIE_KEY_FILE: the key in",
        "openssl rand",
    ),
    Row(
        "api-readable secret",
        AUTH,
        lambda bench: {"AUTH_COOKIE_KEY_FILE": bench.file("cookie", "c" * 43, 0o644)},
        "can be read by everybody",
        "chmod 600",
    ),
    Row("full Redis", MCP, full_redis, "% full", "maxmemory"),
    Row("Redis without WAITAOF", MCP, lambda bench: bench.redis(appendonly="no"), "appendonly is no", "appendonly yes"),
    Row(
        "audit folder of auth-service",
        AUTH,
        lambda bench: {"SECURITY_AUDIT_DIR": bench.file("not-a-folder", "")},
        "is not a folder",
        "SECURITY_AUDIT_DIR",
    ),
    Row(
        "wrong audience",
        MCP,
        lambda bench: {"MCP_RESOURCE": f"http://localhost:{bench.stack.ports.mcp}/other"},
        "have the audience http://localhost",
        "MCP_RESOURCE",
    ),
    Row(
        "wrong issuer",
        MCP,
        lambda bench: {"MCP_ISSUER": f"http://127.0.0.1:{bench.stack.ports.auth}"},
        "names the issuer 'http://localhost",
        "AUTH_ISSUER",
    ),
    Row("clock", MCP, issuer_with_a_fast_clock, "clock: ", "NTP"),
    Row("port taken", MCP, lambda bench: {"MCP_PORT": bench.taken_port()}, "another program listens there", "MCP_PORT"),
    Row("Redis without users", AUTH, lambda bench: bench.redis(), "can read the keys of the resource service", "ACL"),
    Row(
        "Redis that evicts",
        AUTH,
        lambda bench: bench.redis(maxmemory_policy="allkeys-lru"),
        "maxmemory-policy is allkeys-lru",
        "noeviction",
    ),
    Row(
        "journal folder not writable",
        MCP,
        lambda _: {"SECURITY_AUDIT_DIR": "/dev/null/audit"},
        "/dev/null is not a folder",
        "SECURITY_AUDIT_DIR",
    ),
    Row("expired declared secret", AUTH, expired_secret, "the secret of batch has expired", "secret_expires_at"),
    Row("unreachable issuer", MCP, unreachable_issuer, "does not answer", "MCP_ISSUER"),
    Row("missing default resource", AUTH, no_default_resource, "no resource is the default", "default: true"),
]


class _FastIssuer:
    """An issuer whose responses have the time of two minutes from now, in a process of its own."""

    def __enter__(self) -> str:
        self._process = subprocess.Popen([sys.executable, "-c", FAST_ISSUER], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes its output, and waits for it
            self._process.kill()


FAST_ISSUER = """
import asyncio, json, time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from local_stack.loopback_issuer import LoopbackIssuer, http_answer

async def main():
    async with LoopbackIssuer(now=time.time) as issuer:
        async def answer(_, writer):
            date = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
            writer.write(http_answer(json.dumps(issuer.metadata()).encode(), date=date))
        issuer.answers["/.well-known/oauth-authorization-server"] = answer
        print(issuer.url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def run_doctor(stack: Stack, service: str, changes: dict[str, str]) -> list[dict[str, object]]:
    done = run_command(service, "doctor", "--json", environment={**stack.environment(service), **changes})
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_every_set_up_has_a_row():
    assert len(ROWS) == len({row.name for row in ROWS}) == 22


@pytest.mark.parametrize("service", [AUTH, MCP])
def test_the_doctor_of_a_healthy_service_finds_no_failure(stack: Stack, service: str):
    assert [result for result in run_doctor(stack, service, {}) if not result["ok"]] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_doctor_finds_a_broken_set_up(stack: Stack, row: Row, tmp_path: Path):
    with ExitStack() as servers:
        results = run_doctor(stack, row.service, row.change(Workbench(stack, tmp_path, servers)))
    found = [result for result in results if row.result in str(result["what"]) and result["hint"]]
    assert found, results
    assert any(row.hint in str(result["hint"]) for result in found), found
