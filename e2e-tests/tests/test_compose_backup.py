"""Backup of running containers, and restore into new volumes, as docs/operations.md describes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from local_stack.compose import Compose
from local_stack.demo_scenario import PERSON, ServicesApi
from local_stack.ports import free_ports

pytestmark = pytest.mark.compose


@pytest.fixture
def own_compose(tmp_path: Path) -> Iterator[Compose]:
    """Containers with volumes of their own, which the test deletes."""
    (tmp_path / "auth.yaml").write_text("clients: []\n")
    tmp_path.chmod(0o755)  # another user reads it in a container
    composed = Compose(*free_ports(3), declaration=tmp_path, further_files=["deploy/compose.backup.yaml"])
    try:
        composed("up", "--build", "--wait")
        yield composed
    finally:
        delete(composed)


def delete(composed: Compose) -> None:
    """Deletes the containers and every volume, also those of services that only a profile starts."""
    composed("--profile", "gateway", "--profile", "backup", "down", "--volumes", "--timeout", "5")


def test_everything_is_back_in_new_volumes(own_compose: Compose, http: httpx2.Client) -> None:
    api = ServicesApi(own_compose.auth_url, own_compose.mcp_url, http)
    token = api.client.token("mcp.access mcp.decrypt")
    record = api.call("store_sensitive_data", {"data": PERSON})["record_id"]
    keys = http.get(f"{api.auth_url}/.well-known/jwks.json").json()
    create = ("auth-service", "client", "create", "lasting", "--json")
    [client] = json.loads(own_compose("exec", "-T", "auth-service", *create))
    archive = own_compose.run_tool("backup", own_compose.run_tool("backup-redis"))

    delete(own_compose)
    for tool in ("restore", "restore-redis"):
        assert own_compose.run_tool(tool, archive).startswith(b"restored the backup of ")
    own_compose("up", "--wait")

    assert http.get(f"{api.auth_url}/.well-known/jwks.json").json() == keys
    restored = ServicesApi(api.auth_url, api.mcp_url, http, (client["client_id"], client["client_secret"]))
    assert restored.get("/hello", token).status_code == 200
    assert restored.get("/hello", restored.token).status_code == 200
    call = {"name": "read_sensitive_data", "arguments": {"record_id": record}}
    assert PERSON in restored.post_mcp(token, "2025-11-25", "tools/call", call).text
    for service in ("auth-service", "mcp-resource-service"):
        verified = own_compose("exec", "-T", service, "security-common", "audit", "verify")
        assert f"{service}: intact" in verified
