"""The commands `import` and `suggest` as processes."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from gateway_processes import Shell
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import read_lock
from gateway_service.declaration import SecretHeader, load_declaration

pytestmark = pytest.mark.anyio

SECRET = "k_3bf1d0c2"
TOOLS: list[dict[str, Any]] = [
    {"name": "find", "inputSchema": {"type": "object", "properties": {"customer_id": {}, "phone": {}}}},
    {"name": "delete", "inputSchema": {"type": "object"}},
]


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(answer, TOOLS) as running:
        yield running


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    started = Shell({"GATEWAY_REDIS_URL": "redis://127.0.0.1:1", "SECURITY_AUDIT_DIR": str(tmp_path / "audit")})
    yield started
    await started.stop_all()


def write_servers(folder: Path, **servers: Any) -> str:
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    return str(file)


async def test_import_names_every_tool_with_a_scope_and_pins_it(
    shell: Shell, upstream: RawUpstream, tmp_path: Path
) -> None:
    file = write_servers(tmp_path, CRM={"url": upstream.url, "headers": {"X-Key": SECRET}})
    done = await shell.run("import", file)
    assert done.status == 0, done.err
    assert "has the value of X-Key in plaintext" in done.out
    declared = load_declaration(tmp_path / "gateway.yaml", {}).upstreams[0]
    assert declared.tools is not None
    assert {name: set(rule.scopes) for name, rule in declared.tools.items()} == {
        "find": {"mcp.crm"},
        "delete": {"mcp.crm.delete"},
    }
    assert dict(declared.headers) == {"X-Key": SECRET}
    lock = read_lock(tmp_path / "gateway.lock")
    assert lock is not None
    assert list(lock.upstreams["crm"].of(DefinitionKind.TOOL)) == ["delete", "find"]
    assert lock.upstreams["crm"].source_digest == declared.source_digest
    again = await shell.run("import", file)
    assert (again.status, again.err.splitlines()[0]) == (
        1,
        f"error: {tmp_path}/gateway.yaml exists and is not replaced",
    )
    shell.variables["GATEWAY_UPSTREAMS"] = str(tmp_path / "gateway.yaml")
    suggested = yaml.safe_load((await shell.run("suggest")).out)["upstreams"]["crm"]["tools"]
    assert suggested["find"] == {
        "scope": "mcp.crm",
        "policy": "tokenize",
        "identifiers": ["customer_id"],
        "subject": "customer_id",
        "task": "view",
    }


async def test_secrets_are_moved_to_files(shell: Shell, upstream: RawUpstream, tmp_path: Path) -> None:
    shell.variables["TOKEN"] = f"{SECRET}_2"
    file = write_servers(
        tmp_path,
        crm={"url": upstream.url, "headers": {"Authorization": f"Bearer {SECRET}"}},
        key={"url": upstream.url, "headers": {"X-Key": "${TOKEN}"}},
        open={"url": upstream.url},
        program={"command": sys.executable, "args": ["-c", "print(1)"], "env": {"API_KEY": f"{SECRET}_3"}},
    )
    done = await shell.run("import", file, "--to", str(tmp_path), "--secrets-to", str(tmp_path / "secrets"))
    assert done.status == 1, done.err  # the program does not speak MCP
    written = (tmp_path / "gateway.yaml").read_text() + (tmp_path / "gateway.lock").read_text() + done.out + done.err
    assert SECRET not in written
    declared = {each.name: each for each in load_declaration(tmp_path / "gateway.yaml", {}).upstreams}
    assert declared["crm"].credential == SecretHeader(file=tmp_path / "secrets/crm")
    assert declared["key"].credential == SecretHeader(file=tmp_path / "secrets/key", name="X-Key", scheme="")
    assert declared["open"].credential is None
    lock = read_lock(tmp_path / "gateway.lock")
    assert lock is not None
    assert lock.upstreams["crm"].source_digest == declared["crm"].source_digest
    program = declared["program"].program
    assert program is not None
    assert (program.command, program.environment) == ((sys.executable, "-c", "print(1)"), {})
    assert program.folder == tmp_path
    assert program.secret_files == {"API_KEY": tmp_path / "secrets/program.API_KEY"}
    assert (tmp_path / "secrets/program.API_KEY").read_text() == f"{SECRET}_3\n"
    assert (tmp_path / "secrets/crm").read_text() == f"{SECRET}\n"
    assert (tmp_path / "secrets/key").read_text() == f"{SECRET}_2\n"
    assert (tmp_path / "secrets/crm").stat().st_mode & 0o077 == 0


async def test_a_server_that_does_not_answer_has_no_tools(shell: Shell, tmp_path: Path) -> None:
    servers = write_servers(tmp_path, crm={"type": "sse", "url": "http://127.0.0.1:1/sse"})
    done = await shell.run("import", servers)
    assert done.status == 1
    assert "error: crm is unavailable" in done.out
    (declared,) = load_declaration(tmp_path / "gateway.yaml", {}).upstreams
    assert declared.tools == {}
    assert declared.is_sse is True
    lock = read_lock(tmp_path / "gateway.lock")
    assert lock is not None
    assert lock.upstreams == {}


async def test_a_credential_is_not_lost(shell: Shell, tmp_path: Path) -> None:
    entry = {"url": "http://127.0.0.1:1/mcp", "credential": {"secret_file": "key"}}
    failed = await shell.run("import", write_servers(tmp_path, crm=entry), "--secrets-to", str(tmp_path / "secrets"))
    assert failed.status == 1
    assert failed.err.startswith("error: crm has a `credential`, which is not moved\nhint: ")
    assert not (tmp_path / "gateway.yaml").exists()


async def test_several_headers_cannot_be_moved(shell: Shell, tmp_path: Path) -> None:
    headers = {"X-Key": SECRET, "X-Other": SECRET}
    file = write_servers(tmp_path, crm={"url": "http://127.0.0.1:1/mcp", "headers": headers})
    failed = await shell.run("import", file, "--secrets-to", str(tmp_path / "secrets"))
    assert failed.status == 1
    assert failed.err.startswith("error: crm has several headers (X-Key, X-Other), but one credential\nhint: ")
    assert not (tmp_path / "gateway.yaml").exists()
    assert not (tmp_path / "secrets").exists()
