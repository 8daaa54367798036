"""The image of the root Dockerfile: both services in one container work like the original demo and stop in order."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_stack.demo_scenario import CLIENT_ID, CLIENT_SECRET, GREETING
from local_stack.ports import free_ports

pytestmark = pytest.mark.compose

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "mcp-oauth2-demo-test"
BUILD_ARGUMENTS = ("PYTHON_IMAGE", "PIP_INDEX_URL", "CA_CERTIFICATES", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.strip()


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Container:
    name: str
    auth_port: int
    mcp_port: int

    @property
    def auth_url(self) -> str:
        return f"http://localhost:{self.auth_port}"

    @property
    def mcp_url(self) -> str:
        return f"http://localhost:{self.mcp_port}"

    def token(self) -> str:
        """As the demo's README asked for it."""
        form = f"grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&scope=mcp.access"
        headers = ("-H", "Content-Type: application/x-www-form-urlencoded")
        return json.loads(curl("-X", "POST", f"{self.auth_url}/oauth2/token", *headers, "-d", form))["access_token"]

    def hello(self, token: str) -> str:
        return curl("-H", f"Authorization: Bearer {token}", f"{self.mcp_url}/hello")

    def state(self, template: str) -> str:
        return docker("inspect", "--format", template, self.name)

    def await_health(self) -> None:
        deadline = time.monotonic() + 90
        while self.state("{{.State.Health.Status}}") != "healthy":
            assert time.monotonic() < deadline, docker("logs", self.name)
            time.sleep(0.5)

    def output(self) -> str:
        done = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def image() -> str:
    given = [f"--build-arg={name}={os.environ[name]}" for name in BUILD_ARGUMENTS if os.environ.get(name)]
    docker("build", "--tag", IMAGE, *given, str(ROOT))
    return IMAGE


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[Container]:
    auth, mcp = free_ports(2)
    started = Container(f"{IMAGE}-{auth}", auth, mcp)
    published = [option for port in (auth, mcp) for option in ("--publish", f"127.0.0.1:{port}:{port}")]
    settings = ("--env", f"AUTH_PORT={auth}", "--env", f"MCP_PORT={mcp}")
    docker("run", "--detach", "--name", started.name, *published, *settings, image)
    try:
        started.await_health()
        yield started
    finally:
        docker("rm", "--force", "--volumes", started.name)


def test_it_prints_that_it_is_for_demonstration_only(container: Container) -> None:
    assert "NOTICE: this image is for demonstration only" in container.output()
    assert f"{container.mcp_url}/audit" in container.output()


def test_the_commands_of_the_demo_work(container: Container) -> None:
    assert container.hello(container.token()) == GREETING
    discovery = json.loads(curl(f"{container.auth_url}/.well-known/openid-configuration"))
    assert discovery["issuer"] == container.auth_url
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{container.auth_url}/") == "401"


def test_a_tool_can_be_called(container: Container) -> None:
    call = {"name": "test_pii_detection", "arguments": {"text": "홍길동님 010-1234-5678"}}
    headers: Sequence[str] = (
        f"Authorization: Bearer {container.token()}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2025-11-25",
    )
    options = [option for header in headers for option in ("-H", header)]
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    assert "010-****-5678" in curl(f"{container.mcp_url}/mcp", *options, "-d", request)


def test_no_process_is_root(container: Container) -> None:
    _heading, *processes = docker("top", container.name, "-eo", "pid,uid,args").splitlines()
    assert len(processes) >= 4  # the supervisor, Valkey and the two services
    assert {line.split()[1] for line in processes} == {"65532"}


def test_admin_commands_work_without_variables(container: Container) -> None:
    assert "demo" in docker("exec", container.name, "local-stack", "admin", "auth-service", "user", "list")


def test_a_restart_keeps_keys_and_tokens(container: Container) -> None:
    token, keys = container.token(), curl(f"{container.auth_url}/.well-known/jwks.json")
    docker("stop", container.name)
    assert container.state("{{.State.ExitCode}}") == "0"
    assert container.output().rstrip().endswith("stopping …")
    docker("start", container.name)
    container.await_health()
    assert curl(f"{container.auth_url}/.well-known/jwks.json") == keys
    assert container.hello(token) == GREETING


def test_demo_mode_is_refused_on_a_public_platform(image: str) -> None:
    command = ["docker", "run", "--rm", "--env", "CONTAINER_APP_NAME=demo", image]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "error: demo mode has a published client secret and password" in refused.stderr
