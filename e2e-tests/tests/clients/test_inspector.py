"""The Inspector's command line lists and calls every tool: with a token, and signed in through the browser."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.every_tool import RECORD, Calls, every_call
from local_stack.ports import free_ports
from local_stack.story import MachineClient

pytestmark = pytest.mark.clients

INSPECTOR = (
    Path(__file__).resolve().parents[2]
    / "clients/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
)


@pytest.fixture
def inspect(node, ground, request, tmp_path) -> Callable[..., Any]:
    """Runs one command of it at a terminal, where it may ask its user to open an address."""
    # Its files are the test's own, and no keychain is asked.
    environment = os.environ | {"HOME": str(tmp_path), "MCP_INSPECTOR_SECRET_STORE": "file"}

    def run(*arguments: str) -> Any:
        keyboard, terminal = os.openpty()
        with (tmp_path / "result").open("w+") as result:
            process = subprocess.Popen(
                [str(node), str(INSPECTOR), "--cli", f"{ground.mcp_url}/mcp", "--transport", "http", *arguments],
                env=environment,
                stdin=terminal,
                stdout=result,
                stderr=subprocess.PIPE,
                text=True,
            )
            said = ""
            for line in process.stderr:
                said += line
                if found := re.search(r"Please navigate to: (\S+)", line):
                    request.getfixturevalue("person").open(found[1])
            process.stderr.close()
            os.close(keyboard)
            os.close(terminal)
            result.seek(0)
            assert process.wait() == 0, said + result.read()
            return json.load(result)

    return run


def inspect_everything(inspect: Callable[..., Any], calls: Calls, *way_in: str) -> None:
    listed = inspect(*way_in, "--method", "tools/list", "--strict")
    assert {tool["name"] for tool in listed["tools"]} == {name for name, _ in every_call()}
    record_id = ""
    for name, arguments in calls:
        given = [
            part
            for key, value in arguments.items()
            for part in ("--tool-arg", f"{key}={record_id if value == RECORD else value}")
        ]
        result = inspect(*way_in, "--method", "tools/call", "--tool-name", name, *given)
        assert not result.get("isError"), (name, result)
        record_id = result["structuredContent"].get("record_id", record_id)


@pytest.mark.parametrize("ground", ["demo"], indirect=True)
def test_with_a_token(inspect, ground, http) -> None:
    token = MachineClient(ground.auth_url, http, ground.machine).token("mcp.access mcp.decrypt")
    inspect_everything(inspect, every_call(), "--header", f"Authorization: Bearer {token}")


@pytest.mark.parametrize("ground", ["demo"], indirect=True)
def test_in_the_browser(inspect, ground, person) -> None:
    # All but the step-up: a later command (2.12) renews its token where it wanted a new authorization, and gives up.
    calls = [call for call in every_call() if call[0] != "read_sensitive_data"]
    inspect_everything(inspect, calls, "--callback-url", f"http://127.0.0.1:{free_ports(1)[0]}/oauth/callback")
    assert len(person.visits) == 1  # the other commands used what the first one got
