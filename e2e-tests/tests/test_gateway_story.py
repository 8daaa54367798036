"""The story of docs/gateway.md with real processes: from an mcpServers file to the record of every call.

The stack of `make run` with a gateway in front of two servers: the resource service, which gets exchanged tokens, and a
server of another team that knows nothing about tokens, policies or personal data.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml
from fastmcp import FastMCP

from local_stack.command_server import run_command
from local_stack.ports import free_ports
from local_stack.stack import AUTH, GATEWAY, MCP, Stack, start_stack

PHONE, EMAIL = "010-1234-5678", "hong@example.com"
VERSION = "2026-07-28"
DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/gateway"


class CustomerServer:
    """The server of the other team, in a thread. `received` is what its tools were called with."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.received: list[str] = []
        self._run: tuple[uvicorn.Server, threading.Thread] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/mcp"

    def start(self, *, is_changed: bool = False) -> None:
        """Starts it; a changed release asks for a second argument of `find_customer`."""
        mcp: FastMCP[Any] = FastMCP("customers")
        received = self.received

        async def find_customer(customer_id: str) -> dict[str, str]:
            return {"id": customer_id, "phone": PHONE, "email": EMAIL}

        async def find_customer_changed(customer_id: str, reason: str = "") -> dict[str, str]:
            return {"id": customer_id, "reason": reason}

        @mcp.tool
        async def send_message(to: str, text: str) -> str:
            """Send a text message."""
            received.append(to)
            return "sent"

        @mcp.tool
        async def delete_customer(customer_id: str) -> str:
            """Delete a customer."""
            received.append(customer_id)
            return "deleted"

        tool = find_customer_changed if is_changed else find_customer
        mcp.tool(tool, name="find_customer", description="Find a customer.")
        app = mcp.http_app(path="/mcp", stateless_http=True)
        server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_config=None))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        self._run = server, thread

    def stop(self) -> None:
        if self._run is not None:
            server, thread = self._run
            server.should_exit = True
            thread.join()
            self._run = None


@dataclass
class Story:
    """The running stack, and the server of the other team."""

    stack: Stack
    customers: CustomerServer
    http: httpx2.Client

    def token(self, scope: str = "mcp.access", resource: str | None = None) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": "mcp-client",
            "client_secret": "secret",
            "scope": scope,
            "resource": resource or self.stack.gateway_resource,
        }
        answer = self.http.post(f"{self.stack.auth_url}/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def call(self, tool: str, arguments: dict[str, Any], *, scope: str = "mcp.access") -> httpx2.Response:
        return call(self.http, f"{self.stack.gateway_url}/mcp", self.token(scope), tool, arguments)

    def result(self, tool: str, arguments: dict[str, Any], *, scope: str = "mcp.access") -> dict[str, Any]:
        answer = self.call(tool, arguments, scope=scope)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the gateway, with the settings of the running one."""
        return run_command(GATEWAY, *arguments, environment=self.stack.environment(GATEWAY))

    def events(self, service: str, event_type: str) -> list[dict[str, Any]]:
        lines = (self.stack.audit_dir / service / "0/security_audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event_type"] == event_type]

    def restart_gateway(self) -> None:
        self.stack.kill(GATEWAY)
        self.stack.start_one(GATEWAY)
        self.stack.wait_until_ready(GATEWAY)
        self.wait_until_listed()

    def wait_until_listed(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            checks = self.http.get(f"{self.stack.gateway_url}/readyz").json()["checks"]
            if all(checks[f"upstream:{name}"]["ok"] for name in ("records", "crm")):
                return
            assert time.monotonic() < deadline, checks
            time.sleep(0.05)


def call(http: httpx2.Client, url: str, token: str, tool: str, arguments: dict[str, Any]) -> httpx2.Response:
    prefix = "io.modelcontextprotocol/"
    metadata = {f"{prefix}protocolVersion": VERSION, f"{prefix}clientCapabilities": {}}
    params = {"name": tool, "arguments": arguments, "_meta": metadata}
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    return http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, headers=headers)


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("gateway")
    customers = CustomerServer()
    customers.start()
    servers = json.loads((DEPLOYED / "mcp.json").read_text())
    servers["mcpServers"]["crm"] = {"url": customers.url}
    (folder / "mcp.json").write_text(json.dumps(servers))
    declared = yaml.safe_load((DEPLOYED / "gateway.yaml").read_text())
    declared["upstreams"]["crm"] = {
        "policy": "tokenize",
        "tools": {"find_customer": {"identifiers": ["customer_id"]}, "send_message": {"reveal": ["PHONE"]}},
    }
    (folder / "gateway.yaml").write_text(yaml.safe_dump(declared))
    overrides = {"GATEWAY_UPSTREAMS": str(folder / "gateway.yaml"), "GATEWAY_REFRESH_SECONDS": "1"}
    try:
        with (
            start_stack(tmp_path_factory.mktemp("stack"), overrides=overrides) as stack,
            httpx2.Client(timeout=20) as http,
        ):
            running = Story(stack, customers, http)
            running.wait_until_listed()
            yield running
    finally:
        customers.stop()


def the_stack_starts_and_describes_the_gateway(story: Story) -> None:
    listed = story.command("tools")
    assert listed.returncode == 0, listed.stderr
    assert "records_read_sensitive_data  scopes: mcp.access mcp.decrypt" in listed.stdout
    assert "crm_find_customer  scopes: mcp.access" in listed.stdout
    examined = story.command("doctor", "--json")
    results = {each["what"]: each["ok"] for each in json.loads(examined.stdout)}
    assert results[f"credentials: {story.stack.issuer} exchanges tokens for records"] is True
    assert [what for what, ok in results.items() if not ok] == []


def personal_data_is_replaced_by_placeholders_and_put_back_where_it_is_allowed(story: Story) -> None:
    customer = story.result("crm_find_customer", {"customer_id": "c_1"})["structuredContent"]
    assert customer["id"] == "c_1"
    assert customer["phone"].startswith("[PHONE_")
    assert customer["email"].startswith("[EMAIL_")
    sent = story.result("crm_send_message", {"to": customer["phone"], "text": "hello"})
    assert sent["content"][0]["text"] == "sent"
    assert story.customers.received == [PHONE]


def a_tool_that_no_rule_names_does_not_exist(story: Story) -> None:
    answer = story.call("crm_delete_customer", {"customer_id": "c_1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
    assert "c_1" not in story.customers.received


def the_resource_service_sees_the_caller_behind_the_gateway(story: Story) -> None:
    status = story.result("records_get_server_status", {})["structuredContent"]
    assert status["you"]["client_id"] == "gateway"
    stored = story.result("records_store_sensitive_data", {"data": f"call {PHONE}"})["structuredContent"]
    record = {"record_id": stored["record_id"]}
    # Step-up: the refusal names the scopes, and a token with them is enough.
    refused = story.call("records_read_sensitive_data", record)
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="mcp.access mcp.decrypt"' in refused.headers["www-authenticate"]
    scope = "mcp.access mcp.decrypt"
    assert PHONE in json.dumps(story.result("records_read_sensitive_data", record, scope=scope))
    # The record belongs to the caller, who reads it without the gateway as well.
    own = story.token(scope, story.stack.resource)
    direct = call(story.http, f"{story.stack.mcp_url}/mcp", own, "read_sensitive_data", record)
    assert PHONE in json.dumps(direct.json()["result"])
    # A token for the gateway is not one for the resource service.
    foreign = call(story.http, f"{story.stack.mcp_url}/mcp", story.token(scope), "read_sensitive_data", record)
    assert foreign.status_code == 401


def a_changed_definition_is_refused_until_it_is_approved(story: Story) -> None:
    assert story.command("pin").returncode == 0
    assert story.command("approve").returncode == 0
    story.restart_gateway()
    story.customers.stop()
    story.customers.start(is_changed=True)
    deadline = time.monotonic() + 60
    while True:
        result = story.result("crm_find_customer", {"customer_id": "c_1"})
        if result.get("isError"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert result["_meta"]["mcp-oauth2-gateway/reason"] == "tool_definition_changed"
    assert story.command("diff").returncode == 1


def everything_is_on_record_and_the_record_is_intact(story: Story) -> None:
    calls = story.events(GATEWAY, "tool_call")
    assert {
        ("crm_find_customer", "executed_with_placeholders", None),
        ("crm_send_message", "executed_with_placeholders", None),
        (None, "rejected", "unknown_component"),
        ("records_get_server_status", "executed", None),
        ("records_store_sensitive_data", "executed_observed", None),
        ("crm_find_customer", "rejected", "tool_definition_changed"),
    } <= {(event.get("tool_name"), event["action_taken"], event.get("reason")) for event in calls}
    refused = story.events(GATEWAY, "access_refused")
    assert ("records_read_sensitive_data", "insufficient_scope") in {
        (event.get("tool_name"), event["reason"]) for event in refused
    }
    at_resource = story.events(MCP, "tool_call")
    assert {(event["client_id"], event["user_id"]) for event in at_resource} == {
        ("gateway", "mcp-client"),
        ("mcp-client", "mcp-client"),
    }
    exchanged = story.events(AUTH, "token_exchanged")
    assert {(event["client_id"], event["user_id"], event["reason"]) for event in exchanged} == {
        ("gateway", "mcp-client", story.stack.resource)
    }
    verified = subprocess.run(
        [str(Path(sys.executable).with_name("security-common")), "audit", "verify", "--keys", str(story.stack.secrets)],
        env=story.stack.environment(MCP),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, "intact" in verified.stdout) == (0, True), verified.stdout + verified.stderr
    texts = "".join(path.read_text() for path in story.stack.audit_dir.rglob("security_audit.log"))
    assert not [value for value in (PHONE, EMAIL) if value in texts]


STEPS: tuple[Callable[[Story], None], ...] = (
    the_stack_starts_and_describes_the_gateway,
    personal_data_is_replaced_by_placeholders_and_put_back_where_it_is_allowed,
    a_tool_that_no_rule_names_does_not_exist,
    the_resource_service_sees_the_caller_behind_the_gateway,
    a_changed_definition_is_refused_until_it_is_approved,
    everything_is_on_record_and_the_record_is_intact,
)


def test_the_story_of_the_gateway(story: Story) -> None:
    for step in STEPS:
        step(story)
