"""The profile `gateway` of compose.yaml: the resource service behind the gateway, each in a container of its own."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from local_stack.compose import Compose
from local_stack.demo_scenario import MachineClient

pytestmark = pytest.mark.compose

GATEWAY = "gateway-service"
PROFILE = ("--profile", "gateway")

Send = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def gateway(compose: Compose, http: httpx2.Client) -> Iterator[Compose]:
    """The containers with the gateway beside them."""
    try:
        compose(*PROFILE, "up", "--build", "--wait", GATEWAY)
        wait_until_listed(http, f"{compose.gateway_url}/readyz")
        yield compose
    finally:
        compose(*PROFILE, "rm", "--force", "--stop", "--volumes", GATEWAY)


def wait_until_listed(http: httpx2.Client, url: str) -> None:
    """Waits until the gateway has the tools of the resource service."""
    while True:
        if http.get(url).json()["checks"]["upstream:records"]["ok"]:
            return
        time.sleep(0.1)


@pytest.fixture
def send(gateway: Compose, http: httpx2.Client) -> Send:
    """Calls a tool of the resource service through the gateway, with a token for the gateway that has these scopes."""
    resource = f"{gateway.gateway_url}/mcp"
    client = MachineClient(gateway.auth_url, http)

    def send(tool: str, scope: str = "mcp.access", **arguments: str) -> httpx2.Response:
        token = client.request_token(scope=scope, resource=resource).json()["access_token"]
        message = {"name": f"records_{tool}", "arguments": arguments}
        return http.post(
            resource,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": message},
            headers={
                "authorization": f"Bearer {token}",
                "accept": "application/json",
                "mcp-protocol-version": "2025-11-25",
            },
        )

    return send


def structured(response: httpx2.Response) -> dict[str, Any]:
    """The structured content of a result."""
    assert response.status_code == 200, response.text
    result = response.json()["result"]
    assert not result.get("isError"), result
    return result["structuredContent"]


def test_a_call_reaches_the_resource_service_with_an_exchanged_token(send: Send) -> None:
    status = structured(send("get_server_status"))
    assert status["you"]["client_id"] == "gateway"


def test_a_tool_that_needs_another_scope_is_refused_with_its_name(send: Send) -> None:
    record_id = structured(send("store_sensitive_data", data="a note"))["record_id"]
    refused = send("read_sensitive_data", record_id=record_id)
    assert refused.status_code == 403
    assert 'scope="mcp.access mcp.decrypt"' in refused.headers["www-authenticate"]
    read = send("read_sensitive_data", "mcp.access mcp.decrypt", record_id=record_id)
    assert structured(read)["data"] == "a note"


def test_its_commands_work_without_setting_variables(gateway: Compose) -> None:
    results = json.loads(gateway(*PROFILE, "exec", "-T", GATEWAY, GATEWAY, "doctor", "--json"))
    assert [each["what"] for each in results if not each["ok"]] == []
    assert "records_get_server_status" in gateway(*PROFILE, "exec", "-T", GATEWAY, GATEWAY, "tools")


def test_its_record_is_intact_and_its_secrets_are_its_own(gateway: Compose, send: Send) -> None:
    assert send("get_server_status").status_code == 200
    verdict = json.loads(gateway(*PROFILE, "exec", "-T", GATEWAY, "security-common", "audit", "verify", "--json"))
    assert (verdict["intact"], set(verdict["services"])) == (True, {GATEWAY})
    secrets = set(gateway(*PROFILE, "exec", "-T", GATEWAY, "ls", "/run/secrets").split())
    assert "client_key.json" in secrets
    assert not {"signing_key_kek", "audit_page_private_key.json"} & secrets


def test_its_container_is_hardened(gateway: Compose) -> None:
    container = gateway.inspect(GATEWAY)
    host = container["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    assert container["Config"]["User"] == "65532:65532"
    bound = [binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings]
    assert bound == ["127.0.0.1"]
