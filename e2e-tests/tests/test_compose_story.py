"""The story on a real Docker engine: `docker compose up --build --wait`, every step, down, up, and what was lasts."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local_stack.ports import free_ports
from local_stack.story import PERSON, World, tell_story

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.compose


class Compose:
    """The project's own compose.yaml, under a project name and on ports of its own."""

    def __init__(self, auth_port: int, mcp_port: int) -> None:
        self.auth_url, self.mcp_url = f"http://localhost:{auth_port}", f"http://localhost:{mcp_port}"
        self._environment = {**os.environ, "AUTH_PORT": str(auth_port), "MCP_PORT": str(mcp_port)}

    def __call__(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", "mcp-oauth2-test", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        command = ["docker", "compose", "--project-name", "mcp-oauth2-test", "logs", "--tail", "20"]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        ).stdout

    def inspect(self, service: str) -> dict[str, Any]:
        container = self("ps", "--all", "--quiet", service).strip()
        shown = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        return json.loads(shown.stdout)[0]


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    composed = Compose(*free_ports(2))
    try:
        composed("up", "--build", "--wait")
        yield composed
    finally:
        composed("down", "--volumes", "--timeout", "5")


@pytest.fixture
def compose_world(compose: Compose) -> Iterator[World]:
    with httpx2.Client(timeout=20) as http:
        yield World(compose.auth_url, compose.mcp_url, http)


def test_every_step_of_the_story_holds(compose: Compose) -> None:
    failed = [result for result in tell_story(compose.auth_url, compose.mcp_url) if not result.held]
    assert failed == []


@pytest.mark.parametrize("service", ["redis", "auth-service", "mcp-resource-service"])
def test_the_running_container_is_hardened(compose: Compose, service: str) -> None:
    container = compose.inspect(service)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Init"] is True
    assert 0 < host["PidsLimit"] <= 256
    assert 0 < host["Memory"] <= 512 * 1024 * 1024
    assert container["Config"]["User"] not in {"", "0", "root"}
    assert container["State"]["Health"]["Status"] == "healthy"
    bound = [binding["HostIp"] for bindings in (host["PortBindings"] or {}).values() for binding in bindings]
    assert all(address == "127.0.0.1" for address in bound)


def test_the_authorization_server_holds_no_fastmcp(compose: Compose) -> None:
    code = "import importlib.util as u; print(u.find_spec('fastmcp'), u.find_spec('mcp'))"
    assert compose("exec", "-T", "auth-service", "python", "-c", code).strip() == "None None"


def test_what_was_before_down_and_up_lasts(compose: Compose, compose_world: World) -> None:
    token = compose_world.client.token("mcp.access mcp.decrypt")
    record = compose_world.call("store_sensitive_data", {"data": PERSON, "field": "customer"})["record_id"]
    compose("down")
    compose("up", "--wait")
    assert compose_world.get("/hello", token).status_code == 200
    call = {"name": "read_sensitive_data", "arguments": {"record_id": record}}
    assert PERSON in compose_world.post_mcp(token, "2025-11-25", "tools/call", call).text
    assert compose_world.client.ask().status_code == 200
