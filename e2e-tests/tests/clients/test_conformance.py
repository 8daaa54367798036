"""The MCP conformance suite: its server scenarios, on its fixture behind our guard; its authorization scenarios, on
auth-service.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from local_stack.ports import free_ports
from local_stack.stack import AUTH, REDIS, Stack, StackPorts
from local_stack.story import MachineClient
from security_common.cli.setup import make_secrets

pytestmark = pytest.mark.clients

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
SUITE = CLIENTS / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
FIXTURE = Path(__file__).with_name("conformance_fixture.py")

# What FastMCP itself cannot do in this revision without sessions: no back channel, no subscriptions.
STATELESS_FASTMCP_FAILS = {
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
    "resources-subscribe",
    "resources-unsubscribe",
    "tools-call-elicitation",
    "tools-call-sampling",
}


@contextmanager
def guarded_fixture(state: Path) -> Iterator[tuple[str, str]]:
    """The fixture's address with and without the token added."""
    stack = Stack(StackPorts.ephemeral(), state)
    make_secrets(stack.secrets)
    stack.start_one(REDIS)
    stack.start_one(AUTH)
    process = None
    try:
        stack.wait_until_ready(AUTH)
        (token_port,) = free_ports(1)
        with httpx2.Client() as http:
            token = MachineClient(stack.auth_url, http).token()
        command = [sys.executable, str(FIXTURE), stack.issuer, stack.resource, str(token_port)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        process.stdin.write(f"{token}\n")
        process.stdin.close()
        wait_until_open(stack.resource, process)
        yield f"http://localhost:{token_port}/mcp", stack.resource
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        stack.stop()


def wait_until_open(url: str, process: subprocess.Popen[str]) -> None:
    with httpx2.Client() as http:
        while True:
            assert process.poll() is None
            try:
                assert http.get(url).status_code == 401
            except httpx2.ConnectError:
                continue
            return


@pytest.fixture(scope="module")
def fixture_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with guarded_fixture(tmp_path_factory.mktemp("conformance")) as (with_token, without):
        assert httpx2.post(without, json={}).status_code == 401
        yield with_token


def failed_scenarios(node: Path, url: str, revision: str, folder: Path) -> tuple[set[str], int]:
    """Required scenarios that failed, and how many were required."""
    done = subprocess.run(
        [str(node), str(SUITE), "server", "--url", url, "--requirements", revision, "-o", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    _, _, summary = done.stdout.partition("=== SUMMARY ===")
    scored, _, not_scored = summary.partition("Not scored")
    optional = set(re.findall(r"^  [✓✗] (\S+) ", not_scored, re.MULTILINE))
    results = {name: mark == "✓" for mark, name in re.findall(r"^([✓✗]) ([^:]+):", scored, re.MULTILINE)}
    required = {name: passed for name, passed in results.items() if name not in optional}
    assert required, done.stderr
    return {name for name, passed in required.items() if not passed}, len(required)


def test_the_revision_of_2026_07_28_holds_whole(node: Path, fixture_url: str, tmp_path: Path) -> None:
    failed, required = failed_scenarios(node, fixture_url, "2026-07-28", tmp_path)
    assert (failed, required) == (set(), 37)


def test_the_revision_of_2025_11_25_holds_as_far_as_fastmcp_without_sessions(
    node: Path, fixture_url: str, tmp_path: Path
) -> None:
    failed, required = failed_scenarios(node, fixture_url, "2025-11-25", tmp_path)
    assert (failed, required) == (STATELESS_FASTMCP_FAILS, 30)


def test_the_authorization_scenarios_hold_without_a_warning(node: Path, ground, person, tmp_path: Path) -> None:
    """The suite says where its user is to go, and listens for the code itself."""
    (port,) = free_ports(1)
    command = [str(node), str(SUITE), "authorization", "--url", ground.auth_url, "--client-id", ground.desktop]
    command += ["--resource", f"{ground.mcp_url}/mcp", "--port", str(port), "-o", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = ""
    try:
        for line in process.stdout:
            said += line
            if found := re.search(rf"{ground.auth_url}/oauth2/authorize\?\S+", line):
                person.open(found[0])
        assert process.wait() == 0, said
    finally:
        process.kill()
        process.communicate()
    checks = [check for file in tmp_path.rglob("checks.json") for check in json.loads(file.read_text())]
    names = ("AuthorizationServerMetadata", "AuthorizationServerMetadataCIMD", "AuthorizationCodeGrant")
    assert {check["name"]: check["status"] for check in checks} == dict.fromkeys(names, "SUCCESS")
