"""The command `gateway-service` as processes, with a real issuer and a real upstream."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from gateway_processes import Shell, wait_until_ready
from notes_server import notes
from program_upstreams import program
from token_endpoint import EXCHANGE, TokenEndpoint, json_answer
from upstream_servers import PHONE, customers

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets

pytestmark = pytest.mark.anyio

RULES = {"find": {"scope": "mcp.crm"}, "echo": {"policy": "mask"}}


@pytest.fixture
async def issuer() -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(now=time.time) as running:
        yield running


@pytest.fixture
async def shell(
    tmp_path: Path, issuer: LoopbackIssuer, redis_server: RedisServer, serve_app: Callable[[Any], Awaitable[str]]
) -> AsyncIterator[Shell]:
    url = await serve_app(customers().http_app(path="/mcp", stateless_http=True))
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"upstreams": {"crm": {"url": f"{url}/mcp", "tools": RULES}}}))
    make_secrets(tmp_path / "secrets")
    (port,) = free_ports(1)
    started = Shell(
        {
            "GATEWAY_UPSTREAMS": str(file),
            "GATEWAY_RESOURCE": f"http://localhost:{port}/mcp",
            "GATEWAY_PORT": str(port),
            "GATEWAY_ISSUER": issuer.url,
            "GATEWAY_REDIS_URL": redis_server.url,
            "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
            "SECURITY_AUDIT_CHAIN_KEY_FILE": str(tmp_path / "secrets/mcp/audit_chain_key"),
        }
    )
    yield started
    await started.stop_all()


async def test_serve_call_and_doctor(shell: Shell, issuer: LoopbackIssuer) -> None:
    resource = shell.variables["GATEWAY_RESOURCE"]
    process = await shell.start("serve")
    await wait_until_ready(process, resource.replace("/mcp", "/readyz"))
    token = issuer.token(aud=resource)
    found = await shell.run("call", "crm_echo", json.dumps({"text": f"call {PHONE}"}), given=token)
    assert found.status == 0, found.err
    assert json.loads(found.out)["content"][0]["text"] == "call 010-****-5678"
    refused = await shell.run("call", "crm_find", given=token)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("error: HTTP status 403: ")
    assert "the scopes mcp.access mcp.crm\nhint: " in refused.err
    elsewhere = await shell.run("call", "echo", '{"text": "a"}', "--address", "crm", given=token)
    assert "for another audience" in elsewhere.err
    assert f"request it with resource={resource}/crm" in elsewhere.err
    examined = await shell.run("doctor", "--json")
    results = {each["what"]: each["ok"] for each in json.loads(examined.out)}
    assert results["crm: 2026-07-28, 2 tools can be called"] is True
    assert results[f"port: GATEWAY_PORT: this service answers at 127.0.0.1:{shell.variables['GATEWAY_PORT']}"] is True
    log = await shell.stop(process)
    assert process.returncode == -signal.SIGTERM  # uvicorn stops, and then ends with the signal
    assert PHONE.encode() not in log


async def test_tools_shows_what_applies_to_each_tool(shell: Shell) -> None:
    listed = await shell.run("tools")
    assert (listed.status, listed.err) == (0, "")
    lines = listed.out.splitlines()
    assert lines[0].startswith("crm  http://127.0.0.1:")
    assert lines[1:] == [
        "  crm_echo  scopes: mcp.access  arguments: mask  result: mask",
        "  crm_find  scopes: mcp.access mcp.crm  arguments: observe  result: observe",
    ]
    (members,) = json.loads((await shell.run("tools", "--json")).out)
    assert [tool["name"] for tool in members["tools"]] == ["echo", "find"]


async def test_tools_and_doctor_cover_prompts_and_resources(
    shell: Shell, tmp_path: Path, serve_app: Callable[[Any], Awaitable[str]]
) -> None:
    url = await serve_app(notes().http_app(path="/mcp", stateless_http=True))
    entry: dict[str, Any] = {
        "url": f"{url}/mcp",
        "prompts": {"greet": {"scope": "mcp.notes", "policy": "mask"}, "absent": {}},
        "resources": {"notes://*": {"policy": "reject"}},
    }
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": {"notes": entry}}))
    listed = await shell.run("tools")
    assert listed.status == 0, listed.err
    rejecting = "rule: notes://*  scopes: mcp.access  arguments: reject  result: reject"
    assert listed.out.splitlines()[1:] == [
        "  prompt notes_greet  scopes: mcp.access mcp.notes  arguments: mask  result: mask",
        f"  resource notes://today  {rejecting}",
        f"  resource notes://private/diary  {rejecting}",
        f"  resource template notes://by/{{author}}  {rejecting}",
        "  note: the rule absent applies to no prompt",
    ]
    (members,) = json.loads((await shell.run("tools", "--json")).out)
    assert [each["exposed_name"] for each in members["prompts"]] == ["notes_greet"]
    assert [each["uri"] for each in members["resources"]] == ["notes://today", "notes://private/diary"]
    assert [each["uri_template"] for each in members["resource_templates"]] == ["notes://by/{author}"]
    results = {each["what"]: each["ok"] for each in json.loads((await shell.run("doctor", "--json")).out)}
    assert results["notes: 2026-07-28, 0 tools can be called"] is True
    assert results["notes: 1 prompts, 2 resources and 1 resource templates are listed"] is True
    declared = yaml.safe_load((await shell.run("auth-declaration")).out)["resources"]
    assert [list(each["scopes"]) for each in declared] == [["mcp.access", "mcp.notes"]] * 2


@pytest.mark.parametrize("arguments", [("diff", "--json"), ("suggest",)])
async def test_the_output_of_a_command_has_no_log_lines_of_programs(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": {"crm": program()}}))
    printed = await shell.run(*arguments)
    assert "program_started" not in printed.out + printed.err
    assert yaml.safe_load(printed.out)


async def test_auth_declaration_has_every_address_with_its_scopes(shell: Shell) -> None:
    declared = yaml.safe_load((await shell.run("auth-declaration")).out)["resources"]
    resource = shell.variables["GATEWAY_RESOURCE"]
    assert [each["url"] for each in declared] == [resource, f"{resource}/crm"]
    assert [list(each["scopes"]) for each in declared] == [["mcp.access", "mcp.crm"]] * 2
    assert all(text["ko"] and text["en"] for each in declared for text in each["scopes"].values())


@pytest.mark.parametrize("command", ["serve", "doctor"])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "error: GATEWAY_UPSTREAMS is not set"),
        ("upstreams: {crm: {url: x}}", "gateway.yaml:1: upstreams.crm.url: not an http or https URL"),
    ],
)
async def test_a_problem_of_the_file_is_an_error_with_a_hint(
    shell: Shell, tmp_path: Path, command: str, content: str | None, error: str
) -> None:
    if content is None:
        del shell.variables["GATEWAY_UPSTREAMS"]
    else:
        (tmp_path / "gateway.yaml").write_text(content)
    failed = await shell.run(command)
    assert (failed.status, failed.out) == (1, "")
    assert error in failed.err
    assert "hint: " in failed.err


async def test_an_upstream_that_does_not_answer_is_reported(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("upstreams: {crm: {url: 'http://127.0.0.1:1/mcp'}}")
    listed = await shell.run("tools")
    assert listed.status == 1
    assert "error: crm is unavailable" in listed.out
    examined = await shell.run("doctor")
    assert examined.status == 1
    assert "FAIL crm: crm is unavailable" in examined.out


async def test_a_policy_without_its_key_is_an_error_at_the_start(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("upstreams: {crm: {url: 'http://127.0.0.1:1/mcp', policy: encrypt}}")
    failed = await shell.run("serve")
    assert failed.status == 1
    assert failed.err.startswith("error: no encryption key is configured\nhint: ")


@pytest.mark.parametrize("arguments", ["[]", "{", "1"])
async def test_call_needs_an_object(shell: Shell, arguments: str) -> None:
    failed = await shell.run("call", "crm_find", arguments, given="token")
    assert failed.status == 1
    assert failed.err.startswith("error: the arguments are not a JSON object\nhint: ")


async def test_call_without_a_gateway_says_how_to_start_one(shell: Shell) -> None:
    failed = await shell.run("call", "crm_find", given="token")
    assert failed.status == 1
    assert "does not answer as a gateway" in failed.err
    assert "gateway-service serve" in failed.err


async def test_doctor_checks_the_credentials_of_upstreams(shell: Shell, issuer: LoopbackIssuer, tmp_path: Path) -> None:
    secret = tmp_path / "client-secret"
    secret.write_text("secret of the gateway")
    secret.chmod(0o644)
    file = tmp_path / "gateway.yaml"
    declared = yaml.safe_load(file.read_text())
    exchange = {"client_id": "gateway", "secret_file": "client-secret"}
    declared["upstreams"]["crm"]["credential"] = {"exchange": exchange}
    declared["upstreams"]["notes"] = {"command": "true", "env_files": {"API_KEY": "client-secret"}}
    file.write_text(yaml.safe_dump(declared))
    for grants in ([], [EXCHANGE]):
        metadata = {**issuer.metadata(), "grant_types_supported": grants}
        issuer.answers["/.well-known/oauth-authorization-server"] = partial(answer_with, metadata)
        issuer.answers["/token"] = TokenEndpoint()
        examined = await shell.run("doctor", "--json")
        results = {each["what"]: each for each in json.loads(examined.out)}
        assert results[f"credentials: {issuer.url} exchanges tokens for crm"]["ok"] is bool(grants)
        assert results["crm: 2026-07-28, 2 tools can be called"]["ok"] is True
        for what in ("credential of crm", "API_KEY of notes"):
            assert f"secrets: {what}: {secret} can be read by everybody" in results


async def answer_with(document: Any, _headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(json_answer(document))
