"""The log lines of failed calls have no text of the client, and their size is bounded."""

import asyncio
import logging
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool

SECRET = "hunter2-s3cr3t"  # not personal data, so masking does not find it


@pytest.fixture
def server() -> FastMCP[Any]:
    server = FastMCP[Any]("test")

    @server.tool
    @secure_tool(pii_policy="observe")
    async def take(numbers: dict[str, int], text: str = "") -> int:
        if text:
            raise LookupError(f"no entry for {text}")
        return len(numbers)

    @server.prompt
    @secure_tool()
    async def greet(name: str) -> str:
        return f"hello {name}"

    secure_server(server)
    return server


def send(server: FastMCP[Any], method: str, name: str, arguments: dict[str, Any]) -> None:
    async def run() -> None:
        async with Client(server) as client:
            if method == "tools/call":
                await client.call_tool(name, arguments)
            elif method == "prompts/get":
                await client.get_prompt(name, arguments)
            else:
                await client.read_resource(name)

    asyncio.run(run())


def call_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines about failed calls. Services of other tests may be running in this process, and log as well."""
    return [each.getMessage() for each in caplog.records if "call_failed" in each.getMessage()]


@pytest.mark.parametrize(
    ("method", "name", "arguments"),
    [
        ("tools/call", SECRET, {}),
        ("tools/call", SECRET * 20_000, {}),
        ("tools/call", "take", {"numbers": {}, SECRET: 1}),
        ("tools/call", "take", {"numbers": {}, SECRET * 20_000: 1}),
        ("tools/call", "take", {f"{SECRET}{index}": 1 for index in range(5_000)}),
        ("tools/call", "take", {"numbers": {SECRET: "x"}}),
        ("prompts/get", SECRET * 20_000, {}),
        ("prompts/get", "greet", {SECRET: "x"}),
        ("resources/read", f"people://{SECRET}", {}),
    ],
)
def test_text_of_the_client_is_not_logged_when_a_call_reaches_no_tool(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture, method: str, name: str, arguments: dict[str, Any]
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises((ToolError, MCPError)):
        send(server, method, name, arguments)
    assert "call_failed" in caplog.text
    assert SECRET not in caplog.text
    assert max(map(len, call_lines(caplog))) < 4_000


def test_the_log_line_of_invalid_arguments_names_the_known_parameters(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(ToolError):
        send(server, "tools/call", "take", {"numbers": "x", SECRET: 1})
    assert "numbers: dict_type; unexpected_keyword_argument" in caplog.text


def test_the_log_line_of_a_tool_that_fails_is_bounded(server: FastMCP[Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(ToolError):
        send(server, "tools/call", "take", {"numbers": {}, "text": "x" * 500_000})
    assert "cause=LookupError: no entry for xxx" in caplog.text
    assert max(map(len, call_lines(caplog))) < 20_000
