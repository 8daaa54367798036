"""The Inspector's command line lists and calls every tool, with a given token and after sign-in in the browser.

It asks for no token with client credentials itself: its user gets one and gives it in a header.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.demo_scenario import MachineClient
from local_stack.every_tool import RECORD, SECRET_TEXT, Calls, every_call
from local_stack.ports import free_ports

pytestmark = pytest.mark.clients

INSPECTOR = (
    Path(__file__).resolve().parents[2]
    / "clients/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
)


@pytest.fixture
def inspect(node, services, request, tmp_path) -> Callable[..., Any]:
    """Runs one command of the Inspector in a terminal, where it can ask its user to open a URL or to confirm."""
    servers = tmp_path / "servers.json"
    # It uses files of the test instead of the user's files and keychain.
    environment = os.environ | {"HOME": str(tmp_path), "MCP_INSPECTOR_SECRET_STORE": "file"}

    def run(*arguments: str, **oauth: object) -> Any:
        server = {"type": "streamable-http", "url": f"{services.mcp_url}/mcp", "oauth": oauth}
        servers.write_text(json.dumps({"mcpServers": {"ours": server}}))
        keyboard, terminal = os.openpty()
        with (tmp_path / "result").open("w+") as result:
            process = subprocess.Popen(
                [str(node), str(INSPECTOR), "--cli", "--config", str(servers), "--server", "ours", *arguments],
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
                if "needs additional scope: mcp.decrypt" in line:
                    os.write(keyboard, b"y\n")
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


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_with_a_token(inspect, services, http, era) -> None:
    token = MachineClient(services.auth_url, http, services.machine).token("mcp.access mcp.decrypt")
    way_in = ("--header", f"Authorization: Bearer {token}", "--protocol-era", era)
    inspect_everything(inspect, every_call(), *way_in)


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_in_the_browser(inspect, services, person) -> None:
    # Without step-up: with a refresh token, Inspector 2.12 refreshes instead of authorizing again, and fails.
    calls = [call for call in every_call() if call[0] != "read_sensitive_data"]
    inspect_everything(inspect, calls, "--callback-url", f"http://127.0.0.1:{free_ports(1)[0]}/oauth/callback")
    assert len(person.visits) == 1  # the other commands used the token of the first one


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_it_steps_up_when_its_user_confirms(inspect, services, person, era) -> None:
    callback = f"http://127.0.0.1:{free_ports(1)[0]}/oauth/callback"
    way_in = ("--callback-url", callback, "--protocol-era", era, "--method", "tools/call", "--tool-name")

    def call(tool: str, argument: str) -> dict[str, Any]:
        called = inspect(*way_in, tool, "--tool-arg", argument, requestRefreshToken=False)
        return called["structuredContent"]

    stored = call("store_sensitive_data", f"data={SECRET_TEXT}")
    assert call("read_sensitive_data", f"record_id={stored['record_id']}")["data"] == SECRET_TEXT
    assert len(person.visits) == 2  # signed in with mcp.access, and again for mcp.decrypt
