"""Published command line MCP clients: each signs its user in through the browser and lists the tools.

They run as published, with a home folder of their own and without their vendors' servers: nothing here needs an
account. A client that has a metadata document uses the copy that auth-service holds of it.
"""

import asyncio
import json
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from local_stack.every_tool import every_call

pytestmark = pytest.mark.clients

PACKAGES = Path(__file__).resolve().parents[2] / "clients/node_modules"
TIMEOUT_SECONDS = 60
# Disables requests to the vendors: telemetry, updates, lists of models.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "NO_UPDATE_NOTIFIER": "1",
}
CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


@dataclass
class Desktop:
    """A user's environment: a home folder, a command line, and a browser that programs can open."""

    home: Path
    environment: Mapping[str, str]

    def run(self, *command: str | Path, error_too: bool = False) -> str:
        """What a command prints, without a terminal. Fails the test when the command fails."""
        finished = subprocess.run(
            [str(part) for part in command],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout + (finished.stderr if error_too else "")

    def run_in_terminal(self, *command: str | Path, answers: Mapping[str, str] | None = None) -> str:
        """What a command prints in a terminal until it ends; it is told each answer once its question was printed."""
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=self.home,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        open_questions, printed, deadline = dict(answers or {}), "", time.monotonic() + TIMEOUT_SECONDS
        try:
            while part := read_terminal(ours, deadline):
                printed += part
                for question in [question for question in open_questions if question in printed]:
                    os.write(ours, open_questions.pop(question).encode())
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return CONTROL_SEQUENCE.sub("", printed)

    def write(self, name: str, content: str) -> None:
        """A file of the user's, below the home folder."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def read_terminal(terminal: int, deadline: float) -> str:
    """The next output; empty once the program has ended, which Linux reports as an error of the terminal."""
    ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
    assert ready, "the program is still waiting"
    try:
        return os.read(terminal, 65_536).decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def desktop(tmp_path: Path, node: Path, person: Any) -> Iterator[Desktop]:
    opened = tmp_path / "opened-addresses"
    os.mkfifo(opened)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("xdg-open", "browser"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" > {opened}\n')
        (programs / name).chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": f"{programs}:{node.parent}:/usr/bin:/bin",
        "BROWSER": str(programs / "browser"),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **QUIET,
    }
    # Opened for writing as well; otherwise it reaches its end whenever a writing program exits.
    with open(os.open(opened, os.O_RDWR), encoding="utf-8") as addresses:  # noqa: PTH123 - of a descriptor
        browser = threading.Thread(target=open_each, args=(addresses, person.open))
        browser.start()
        yield Desktop(home, environment)
        opened.write_text("\n")
        browser.join()


def open_each(addresses: Iterator[str], visit: Callable[[str], object]) -> None:
    """Opens each address that arrives, until an empty line."""
    for address in addresses:
        if not address.strip():
            return
        visit(address.strip())


@pytest.fixture
def url(services: Any) -> str:
    return f"{services.mcp_url}/mcp"


def tool_names(*, demo: bool) -> set[str]:
    return {name for name, _ in every_call(demo=demo)}


@pytest.mark.parametrize(
    ("services", "registration"), [("demo", "dcr"), ("demo", "cimd"), ("declared", "cimd")], indirect=["services"]
)
def test_codex(desktop: Desktop, services: Any, url: str, registration: str) -> None:
    settings = "check_for_update_on_startup = false\n[analytics]\nenabled = false\n"
    desktop.write(".codex/config.toml", f'{settings}[mcp_servers.ours]\nurl = "{url}"\n')
    codex = PACKAGES / ".bin/codex"
    printed = desktop.run(codex, "mcp", "login", "ours", "--oauth-client-registration", registration)
    assert "Successfully logged in" in printed
    assert ("client_id=https%3A%2F%2Fchatgpt.com%2F" in printed) == (registration == "cimd")
    assert codex_tools(desktop, codex) == tool_names(demo=services.is_demo)


def codex_tools(desktop: Desktop, codex: Path) -> set[str]:
    """The tools that Codex lists, read through the protocol of its editor extensions."""
    with subprocess.Popen(
        [str(codex), "app-server"],
        cwd=desktop.home,
        env=desktop.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for message in (
            {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "test", "version": "1"}}},
            {"method": "initialized"},
            {"id": 2, "method": "mcpServerStatus/list", "params": {}},
        ):
            server.stdin.write(f"{json.dumps(message)}\n")
            server.stdin.flush()
        answer = next(message for line in server.stdout if (message := json.loads(line)).get("id") == 2)
        server.stdin.close()
    (status,) = answer["result"]["data"]
    return set(status["tools"])


@pytest.mark.parametrize("services", ["demo", "declared"], indirect=True)
def test_claude_code(desktop: Desktop, url: str) -> None:
    (claude,) = PACKAGES.glob("@anthropic-ai/claude-code-*/claude")
    desktop.run(claude, "mcp", "add", "--transport", "http", "ours", url)
    printed = desktop.run_in_terminal(claude, "mcp", "login", "ours")
    assert "client_id=https%3A%2F%2Fclaude.ai%2F" in printed
    assert re.search(r"ours: .*✔ Connected", desktop.run(claude, "mcp", "list"))


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_gemini_cli(desktop: Desktop, node: Path, url: str) -> None:
    settings = {
        "mcpServers": {"ours": {"httpUrl": url}},
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    }
    desktop.write(".gemini/settings.json", json.dumps(settings))
    desktop.write(".gemini/.env", "GEMINI_API_KEY=none\n")  # it requires a key before any other action
    gemini = PACKAGES / ".bin/gemini"
    printed = desktop.run_in_terminal(gemini, "-p", "/mcp auth ours", answers={"[Y/n]": "y\n"})
    assert "Successfully authenticated with MCP server 'ours'" in printed
    assert re.search(r"✓ ours: .* - Connected", desktop.run(gemini, "mcp", "list", error_too=True))


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_opencode(desktop: Desktop, url: str) -> None:
    settings = {"autoupdate": False, "share": "disabled", "mcp": {"ours": {"type": "remote", "url": url}}}
    desktop.write("opencode.json", json.dumps(settings))
    # An install script would choose the binary, but it is not run here. The last binary runs on every processor.
    opencode = max(PACKAGES.glob("opencode-*-*/bin/opencode"))
    assert "Authentication successful" in desktop.run(opencode, "mcp", "auth", "ours", error_too=True)
    listed = CONTROL_SEQUENCE.sub("", desktop.run(opencode, "mcp", "list", error_too=True))
    assert re.search(r"✓ ours\s+connected", listed)


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_mcp_remote_client(desktop: Desktop, url: str) -> None:
    printed = desktop.run_in_terminal(PACKAGES / ".bin/mcp-remote-client", url)
    assert [name for name in tool_names(demo=True) if name not in printed] == []


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_mcp_remote_as_a_proxy(desktop: Desktop, url: str) -> None:
    """Used as by an application that supports only local servers."""
    transport = StdioTransport(str(PACKAGES / ".bin/mcp-remote"), [url], env=dict(desktop.environment))

    async def list_tools() -> set[str]:
        async with Client(transport, init_timeout=TIMEOUT_SECONDS) as session:
            return {tool.name for tool in await session.list_tools()}

    assert asyncio.run(list_tools()) == tool_names(demo=True)


@pytest.mark.parametrize("services", ["demo"], indirect=True)
def test_mcpc(desktop: Desktop, url: str) -> None:
    mcpc = PACKAGES / ".bin/mcpc"
    desktop.run(mcpc, "login", url)
    desktop.run(mcpc, "connect", url, "@ours")
    try:
        listed = json.loads(desktop.run(mcpc, "--json", "@ours", "tools-list"))
        called = json.loads(desktop.run(mcpc, "--json", "@ours", "tools-call", "get_server_status"))
    finally:
        desktop.run(mcpc, "close", "@ours")
    assert {tool["name"] for tool in listed} == tool_names(demo=True)
    assert called["structuredContent"]["you"]["scopes"] == ["mcp.access"]
