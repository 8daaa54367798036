"""The Inspector's command line lists and calls every tool with a token."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local_stack.every_tool import SECRET_TEXT, every_call
from local_stack.story import World

pytestmark = pytest.mark.clients

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
INSPECTOR = CLIENTS / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


def inspect(node: Path, world: World, token: str, *arguments: str) -> dict[str, Any]:
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


def test_inspectors_command_line_lists_and_calls_every_tool(node: Path, world: World) -> None:
    token = world.client.token("mcp.access mcp.decrypt")
    listed = inspect(node, world, token, "--method", "tools/list")
    assert {tool["name"] for tool in listed["tools"]} == {name for name, _ in every_call()}
    record_id = world.call("store_sensitive_data", {"data": SECRET_TEXT})["record_id"]
    for name, arguments in every_call(record_id):
        given = [part for key, value in arguments.items() for part in ("--tool-arg", f"{key}={value}")]
        result = inspect(node, world, token, "--method", "tools/call", "--tool-name", name, *given)
        assert not result.get("isError"), (name, result)
