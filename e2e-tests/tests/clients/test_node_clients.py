"""The TypeScript SDK and the Inspector's command line list and call every tool; the SDK steps up, unaided."""

import json
import subprocess
from pathlib import Path

import pytest

from local_stack.every_tool import SECRET_TEXT, every_call
from local_stack.story import CLIENT_ID, CLIENT_SECRET, World

pytestmark = pytest.mark.clients

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
INSPECTOR = CLIENTS / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@pytest.fixture
def record_id(world: World) -> str:
    return world.call("store_sensitive_data", {"data": SECRET_TEXT})["record_id"]


def test_the_typescript_sdk_calls_every_tool_and_steps_up(node: Path, world: World, record_id: str) -> None:
    calls = every_call(record_id)
    done = subprocess.run(
        [str(node), "call_tools.mjs", f"{world.mcp_url}/mcp", world.auth_url, CLIENT_ID, CLIENT_SECRET],
        cwd=CLIENTS,
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["tools"]) == {name for name, _ in calls}
    assert not [name for name, result in said["results"].items() if result.get("isError")]
    assert said["results"]["read_sensitive_data"]["structuredContent"]["data"] == SECRET_TEXT
    assert [set(scope.split()) for scope in said["scopes"]] == [{"mcp.access"}, {"mcp.access", "mcp.decrypt"}]


def inspect(node: Path, world: World, token: str, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [
            *(str(node), str(INSPECTOR), "--cli", f"{world.mcp_url}/mcp", "--transport", "http"),
            *("--header", f"Authorization: Bearer {token}", *arguments),
        ],
        cwd=CLIENTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return json.loads(done.stdout)


def test_inspectors_command_line_lists_and_calls_every_tool(node: Path, world: World, record_id: str) -> None:
    token = world.client.token("mcp.access mcp.decrypt")
    listed = inspect(node, world, token, "--method", "tools/list")
    assert {tool["name"] for tool in listed["tools"]} == {name for name, _ in every_call()}
    for name, arguments in every_call(record_id):
        given = [part for key, value in arguments.items() for part in ("--tool-arg", f"{key}={value}")]
        result = inspect(node, world, token, "--method", "tools/call", "--tool-name", name, *given)
        assert not result.get("isError"), (name, result)
