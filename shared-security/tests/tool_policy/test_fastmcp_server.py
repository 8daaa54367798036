"""`secure_server` on a whole FastMCP server: lists by scope, undecorated functions, status 503, logs, schemas."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp_calls import call, caller, with_client

from security_common.audit import Journal
from security_common.errors import SecurityError
from security_common.fastmcp import ServiceUnavailableMiddleware, UnsecuredComponent, secure_server
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import ArgumentScope, configure, secure_tool
from security_common.tool_scopes import scopes_of_call

CLEAR = "hong@example.com 010-1234-5678"
MASKED = "h***@example.com 010-****-5678"


def test_lists_are_filtered_by_scope_and_the_table_has_the_scopes_of_each_tool(server: FastMCP[Any]) -> None:
    @server.tool
    @secure_tool()
    async def open_to_all() -> str:
        return "x"

    @server.tool
    @secure_tool(scopes=["mcp.decrypt"])
    async def step_up() -> str:
        return "x"

    @server.tool
    @secure_tool(scopes=["mcp.audit"])
    async def auditors_only() -> str:
        return "x"

    table = secure_server(server, attainable_scopes=["mcp.decrypt"])
    assert table == {"step_up": {"mcp.decrypt"}, "auditors_only": {"mcp.audit"}}

    async def names(client: Client[Any]) -> set[str]:
        return {tool.name for tool in await client.list_tools()}

    for scopes, expected in (
        (["mcp.access"], {"open_to_all", "step_up"}),
        (["mcp.access", "mcp.audit"], {"open_to_all", "step_up", "auditors_only"}),
    ):
        reset = current_caller.set(caller(*scopes))
        try:
            assert with_client(server, names) == expected
            if "mcp.audit" not in scopes:
                with pytest.raises(ToolError, match="insufficient_scope"):
                    call(server, "auditors_only")
        finally:
            current_caller.reset(reset)


def test_scopes_that_depend_on_an_argument_are_checked_in_the_table_and_in_the_call(server: FastMCP[Any]) -> None:
    @server.tool
    @secure_tool(scopes=["mcp.access"], argument_scopes=[ArgumentScope("mcp.audit", "whose", "everyone")])
    async def read_trail(whose: str = "mine") -> str:
        return whose

    table = secure_server(server)
    assert scopes_of_call(table, "read_trail", {}) == {"mcp.access"}
    assert scopes_of_call(table, "read_trail", {"whose": "everyone"}) == {"mcp.access", "mcp.audit"}
    assert scopes_of_call(table, "unknown", {}) == frozenset()
    assert str(table["read_trail"]) == "mcp.access; mcp.audit with whose=everyone"
    reset = current_caller.set(caller("mcp.access"))
    try:
        assert call(server, "read_trail").data == "mine"
        with pytest.raises(ToolError, match=r"insufficient_scope: this call needs the scopes mcp\.access mcp\.audit"):
            call(server, "read_trail", {"whose": "everyone"})
    finally:
        current_caller.reset(reset)


def test_a_tool_without_policy_stops_the_start(server: FastMCP[Any]) -> None:
    @server.tool
    async def bare() -> str:
        return "x"

    with pytest.raises(UnsecuredComponent, match="bare has no policy"):
        secure_server(server)


def test_a_tool_that_may_run_in_the_background_stops_the_start(server: FastMCP[Any]) -> None:
    @server.tool(task=True)
    @secure_tool()
    async def later() -> str:
        return "x"

    with pytest.raises(UnsecuredComponent, match="later may run in the background"):
        secure_server(server)


def test_the_result_of_a_tool_without_policy_is_withheld(server: FastMCP[Any]) -> None:
    secure_server(server)

    @server.tool
    async def bare() -> str:
        return CLEAR

    with pytest.raises(ToolError) as caught:
        call(server, "bare")
    assert "no policy" in str(caught.value)


def post(app: Any, method: str, params: dict[str, Any], version: str = "2026-07-28") -> httpx2.Response:
    """One request of the 2026-07-28 protocol over HTTP, or of the 2025-11-25 protocol without a session."""
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
    if version == "2026-07-28":
        headers |= {"mcp-method": method, "mcp-name": str(params.get("name") or params.get("uri", ""))}
        params |= {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=ServiceUnavailableMiddleware(app))
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post("/mcp", json=body, headers=headers)

    return asyncio.run(send())


def test_a_call_that_cannot_be_recorded_answers_503(
    server: FastMCP[Any], close_journal: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    @server.tool
    @secure_tool()
    async def work() -> str:
        close_journal()
        return "done without a record"

    secure_server(server)
    answer = post(server.http_app(stateless_http=True), "tools/call", {"name": "work", "arguments": {}})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    error = answer.json()["error"]
    assert error["data"] == {"error": "temporarily_unavailable"}
    assert error["message"] == (
        "temporarily_unavailable: the request cannot be recorded at the moment (try again later)"
    )
    assert "done without a record" not in answer.text
    assert "the audit journal is not open (call start() before the first event)" in caplog.text


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize("json_response", [True, False])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "unknown", "arguments": {}}),
        ("tools/call", {"name": "work", "arguments": {"surplus": 1}}),
        ("tools/call", {"name": "work", "arguments": {}}),
        ("resources/read", {"uri": "people://unknown"}),
        ("prompts/get", {"name": "unknown"}),
    ],
)
def test_with_an_unwritable_journal_every_call_answers_503(
    server: FastMCP[Any],
    close_journal: Callable[[], None],
    version: str,
    json_response: bool,
    method: str,
    params: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    @server.tool
    @secure_tool()
    async def work() -> str:
        raise AssertionError

    secure_server(server)
    close_journal()
    app = server.http_app(stateless_http=True, json_response=json_response)
    answer = post(app, method, dict(params), version)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert '"error":"temporarily_unavailable"' in answer.text
    assert "the request cannot be recorded at the moment" in answer.text
    assert "audit journal" not in answer.text
    assert f"call_failed method={method}" in caplog.text
    assert "the audit journal is not open" in caplog.text


def test_the_client_gets_no_hint_for_the_operator_of_the_server(
    server: FastMCP[Any], journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @server.tool
    @secure_tool(requires_encryption=True)
    async def store(text: str) -> str:
        return text

    monkeypatch.delenv("SECURITY_ENCRYPTION_KEY_FILE", raising=False)
    configure(journal=journal)
    secure_server(server)
    with pytest.raises(ToolError) as caught:
        call(server, "store", {"text": "x"})
    assert str(caught.value) == (
        "encryption_key_missing: this server has no usable encryption key (its operator finds the cause in the log)"
    )
    assert "set SECURITY_ENCRYPTION_KEY_FILE=" in caplog.text


@pytest.mark.parametrize("name", ["look_up", "read_file", "fetch", "refuse"])
def test_a_failed_call_is_logged_once_with_trace_id_and_cause_and_without_personal_data(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    @server.tool
    @secure_tool(pii_policy="observe")
    async def look_up() -> str:
        raise LookupError(f"no entry for {CLEAR}")

    @server.tool
    @secure_tool(pii_policy="observe")
    async def read_file() -> str:
        raise ToolError(f"cannot read the file of {CLEAR}")

    @server.tool
    @secure_tool(pii_policy="mask")
    async def fetch() -> str:
        raise SecurityError("the store is down", hint="try again") from ConnectionError("no route to host")

    @server.tool
    @secure_tool(scopes=["mcp.decrypt"])
    async def refuse() -> str:
        raise AssertionError

    secure_server(server)
    reset = current_caller.set(caller("mcp.access"))
    try:
        with caplog.at_level(logging.INFO), pytest.raises(ToolError):
            call(server, name)
    finally:
        current_caller.reset(reset)
    (record,) = [each for each in caplog.records if "call_failed" in each.message or name in each.message]
    line = record.getMessage()
    assert f"tool={name}" in line
    assert f"trace_id={'1' * 32}" in line
    assert "-1234-" not in caplog.text
    assert "hong@" not in caplog.text
    expected = {
        "look_up": (logging.ERROR, f"cause=LookupError: no entry for {MASKED}\nTraceback"),
        "read_file": (logging.WARNING, f"cause=ToolError: cannot read the file of {MASKED}"),
        "fetch": (
            logging.WARNING,
            "cause=SecurityError: security_error: the store is down (try again) <- ConnectionError: no route to host",
        ),
        "refuse": (logging.WARNING, "reason=insufficient_scope"),
    }[name]
    assert record.levelno == expected[0]
    assert expected[1] in line


@pytest.mark.parametrize("params", [{"name": {"a": "hong@example.com"}}, {"name": 7}, {}])
def test_a_malformed_call_is_logged_without_its_values_and_without_a_traceback(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture, params: dict[str, Any]
) -> None:
    secure_server(server)
    with caplog.at_level(logging.INFO):
        answer = post(server.http_app(stateless_http=True), "tools/call", dict(params), "2025-11-25")
    assert '"code":-32602' in answer.text
    assert "call_failed method=tools/call cause=ValidationError: " in caplog.text
    assert "Traceback" not in caplog.text
    assert "hong" not in caplog.text


def test_an_unknown_tool_is_logged_with_the_trace_id(server: FastMCP[Any], caplog: pytest.LogCaptureFixture) -> None:
    secure_server(server)
    reset = current_caller.set(caller("mcp.access"))
    try:
        with caplog.at_level(logging.INFO), pytest.raises(ToolError):
            call(server, "010-1234-5678")
    finally:
        current_caller.reset(reset)
    (line,) = [each.getMessage() for each in caplog.records if "call_failed" in each.getMessage()]
    assert line.endswith(f"trace_id={'1' * 32} cause=NotFoundError")
    assert "-1234-" not in caplog.text


def test_a_registered_tool_can_still_be_disabled(server: FastMCP[Any]) -> None:
    @server.tool
    @secure_tool()
    async def greet() -> str:
        return "hello"

    secure_server(server)
    assert call(server, "greet").data == "hello"
    server.disable(names={"greet"})
    with pytest.raises(ToolError, match="Unknown tool"):
        call(server, "greet")


def test_input_schemas_are_found_without_listing_the_tools(
    server: FastMCP[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses private attributes: FastMCP's low-level server, and the place where the SDK looks for schemas."""

    @server.tool
    @secure_tool(pii_policy="mask")
    async def echo(text: str) -> str:
        return text

    secure_server(server)
    lookup = server._mcp_server.get_tool_input_schema
    assert lookup is not None
    assert lookup("echo") == asyncio.run(server.get_tool("echo")).parameters
    listed: list[str] = []
    original = server.list_tools

    async def counted(**options: Any) -> Any:
        listed.append("list")
        return await original(**options)

    monkeypatch.setattr(server, "list_tools", counted)
    answer = post(server.http_app(stateless_http=True), "tools/call", {"name": "echo", "arguments": {"text": CLEAR}})
    assert answer.status_code == 200
    assert MASKED in answer.text
    assert not listed


def test_lists_may_be_cached_for_one_caller_only(server: FastMCP[Any]) -> None:
    server = FastMCP("test", cache_ttl=60)

    @server.tool
    @secure_tool(scopes=["mcp.decrypt"])
    async def read() -> str:
        return "x"

    secure_server(server)
    result = post(server.http_app(stateless_http=True), "tools/list", {}).json()["result"]
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 60_000)


def test_the_session_sends_messages_through_its_two_channels_only() -> None:
    """`protect_session` replaces both channels; a third one would bypass the policy."""
    from mcp.server.session import ServerSession

    source = inspect.getsource(ServerSession)
    assert source.count(".send_raw_request(") == 1
    assert source.count(".notify(") == 1
    constructed = ServerSession.__new__(ServerSession)
    channels = SimpleNamespace(protocol_version="2025-11-25")
    constructed.__init__(channels, channels)  # type: ignore[misc, arg-type]
    assert [name for name, value in vars(constructed).items() if value is channels] == [
        "_request_outbound",
        "_connection",
    ]
