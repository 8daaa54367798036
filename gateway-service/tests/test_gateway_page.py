"""The examples of docs/gateway.md, with the authorization server of this project."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from gateway_processes import Shell, wait_until_ready
from upstream_servers import PHONE, customers

from gateway_service.declaration import ClientCredentials, SecretHeader, TokenExchange, load_declaration
from local_stack.fences import read_fences
from local_stack.ports import StackPorts, free_ports
from local_stack.stack import AUTH, REDIS, Stack

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs/gateway.md"
OWN_SERVER, AUTH_YAML, COMPLETE, CREDENTIALS = [fence.text for fence in read_fences(PAGE) if fence.language == "yaml"][
    :4
]
(SERVERS,) = [fence.text for fence in read_fences(PAGE) if fence.language == "json"]


def test_the_example_of_an_own_server_is_valid(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(SERVERS)
    (tmp_path / "gateway.yaml").write_text(OWN_SERVER)
    (files,) = load_declaration(tmp_path / "gateway.yaml", {}).upstreams
    assert files.program is not None
    assert files.program.command[0] == "npx"
    rules = {tool: files.rule_for(tool, is_local=True) for tool in ("read_text_file", "list_directory", "write_file")}
    assert {tool: rule.result if rule else None for tool, rule in rules.items()} == {
        "read_text_file": "mask",
        "list_directory": "mask",
        "write_file": None,
    }


def test_the_example_of_gateway_yaml_is_valid(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"files": {"url": "https://files.example.com/mcp"}}}))
    (tmp_path / "gateway.yaml").write_text(COMPLETE)
    declaration = load_declaration(tmp_path / "gateway.yaml", {})
    assert declaration.names == ("files", "crm")
    crm = declaration.upstreams[1]
    assert crm.tools is not None
    assert {name: sorted(rule.scopes) for name, rule in crm.tools.items()} == {
        "find_customer": ["mcp.crm"],
        "send_message": ["mcp.crm.write"],
        "export_*": ["mcp.crm.export"],
    }


def test_the_example_of_credentials_is_valid(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CREDENTIALS)
    declared = load_declaration(tmp_path / "gateway.yaml", {}).upstreams
    assert [type(each.credential) for each in declared] == [SecretHeader, ClientCredentials, TokenExchange]


async def test_auth_service_issues_tokens_for_the_addresses_of_a_gateway(
    tmp_path: Path, serve_app: Callable[[Any], Awaitable[str]]
) -> None:
    """From an mcpServers file to a call: the authorization server gets what `auth-declaration` prints."""
    url = await serve_app(customers().http_app(path="/mcp", stateless_http=True))
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"crm": {"url": f"{url}/mcp"}}}))
    ports = StackPorts.ephemeral()
    (port,) = free_ports(1)
    resource = f"http://localhost:{port}/mcp"
    shell = Shell(
        {
            "GATEWAY_UPSTREAMS": str(tmp_path / "mcp.json"),
            "GATEWAY_RESOURCE": resource,
            "GATEWAY_PORT": str(port),
            "GATEWAY_ISSUER": f"http://localhost:{ports.auth}",
            "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        }
    )
    printed = await shell.run("auth-declaration")
    declared = yaml.safe_load(AUTH_YAML)["resources"] + yaml.safe_load(printed.out)["resources"]
    (tmp_path / "auth.yaml").write_text(yaml.safe_dump({"resources": declared}))
    stack = Stack(ports, tmp_path / "stack", {"AUTH_CONFIG": str(tmp_path / "auth.yaml")})
    stack.start(REDIS, AUTH)
    serving = await shell.start("serve")
    try:
        async with httpx2.AsyncClient(verify=False, timeout=20) as http:
            form = {
                "grant_type": "client_credentials",
                "client_id": "mcp-client",
                "client_secret": "secret",
                "scope": "mcp.access",
                "resource": resource,
            }
            answer = await http.post(f"{stack.auth_url}/oauth2/token", data=form)
        (tmp_path / "token.txt").write_text(answer.json()["access_token"])
        await wait_until_ready(serving, resource.replace("/mcp", "/readyz"))
        arguments = '{"customer_id": "c_1"}'
        called = await shell.run("call", "crm_find", arguments, "--token-file", str(tmp_path / "token.txt"))
        assert called.status == 0, called.err
        assert json.loads(called.out)["structuredContent"] == {"id": "c_1", "phone": PHONE}  # observed, not changed
        log = tmp_path / "audit/gateway-service/0/security_audit.log"
        events = [json.loads(line) for line in log.read_text().splitlines()]
        (event,) = [each for each in events if each["event_type"] == "tool_call"]
        assert (event["tool_name"], event["user_id"], event["pii_kinds"]) == ("crm_find", "mcp-client", {"PHONE": 1})
    finally:
        serving.terminate()
        await serving.communicate()
        stack.stop()
