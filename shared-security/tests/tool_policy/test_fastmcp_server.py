"""What `secure_server` does to a whole FastMCP server: lists by scope, bare functions, 503, the schema hook."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

from security_common.fastmcp import ServiceUnavailableMiddleware, UnsecuredComponent, secure_server
from security_common.tokens.access_token import AccessToken, Caller, current_caller
from security_common.tool_policy import secure_tool

CLEAR = "hong@example.com 010-1234-5678"
MASKED = "h***@example.com 010-****-5678"


def with_client(server: FastMCP[Any], story: Callable[[Client[Any]], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with Client(server, **options) as client:
            return await story(client)

    return asyncio.run(run())


def call(server: FastMCP[Any], name: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
    return with_client(server, lambda client: client.call_tool(name, arguments or {}), **options)


def caller(*scopes: str) -> Caller:
    token = AccessToken(
        issuer="http://localhost:8081",
        subject="u_1",
        client_id="agent",
        audience=(),
        scopes=frozenset(scopes),
        expires_at_seconds=0,
        issued_at_seconds=0,
        token_id="j",
        key_id="k",
    )
    return Caller(token=token, source_address="192.0.2.1", trace_id="1" * 32)


@pytest.fixture
def server() -> FastMCP[Any]:
    return FastMCP("test")


def test_lists_show_what_the_scopes_allow_and_the_table_names_them(server: FastMCP[Any]) -> None:
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


def test_a_function_without_policy_is_found_at_start(server: FastMCP[Any]) -> None:
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


def test_a_tool_added_later_without_policy_gives_nothing_away(server: FastMCP[Any]) -> None:
    secure_server(server)

    @server.tool
    async def bare() -> str:
        return CLEAR

    with pytest.raises(ToolError) as caught:
        call(server, "bare")
    assert "no policy" in str(caught.value)


def post(app: Any, method: str, params: dict[str, Any]) -> httpx2.Response:
    """One request of the 2026-07-28 protocol over HTTP."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "mcp-name": str(params.get("name", "")),
    }

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=ServiceUnavailableMiddleware(app))
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post("/mcp", json=body, headers=headers)

    return asyncio.run(send())


def test_a_call_that_cannot_be_recorded_answers_503(server: FastMCP[Any], close_journal: Callable[[], None]) -> None:
    @server.tool
    @secure_tool()
    async def work() -> str:
        close_journal()
        return "done in secret"

    secure_server(server)
    answer = post(server.http_app(stateless_http=True), "tools/call", {"name": "work", "arguments": {}})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["error"]["data"] == {"error": "temporarily_unavailable"}
    assert "secret" not in answer.text


@pytest.mark.parametrize(("name", "arguments"), [("unknown", {}), ("work", {"surplus": 1})])
def test_a_call_that_reaches_no_tool_and_cannot_be_recorded_answers_503(
    server: FastMCP[Any], close_journal: Callable[[], None], name: str, arguments: dict[str, Any]
) -> None:
    @server.tool
    @secure_tool()
    async def work() -> str:
        return "done"

    secure_server(server)
    close_journal()
    answer = post(server.http_app(stateless_http=True), "tools/call", {"name": name, "arguments": arguments})
    assert answer.status_code == 503
    assert answer.json()["error"]["data"] == {"error": "temporarily_unavailable"}


def test_a_tool_that_is_at_hand_can_still_be_switched_off(server: FastMCP[Any]) -> None:
    @server.tool
    @secure_tool()
    async def greet() -> str:
        return "hello"

    secure_server(server)
    assert call(server, "greet").data == "hello"
    server.disable(names={"greet"})
    with pytest.raises(ToolError, match="Unknown tool"):
        call(server, "greet")


def test_the_schema_hook_spares_the_hidden_list(server: FastMCP[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches private ground: FastMCP's low-level server, and the SDK's lookup in it."""

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


def test_lists_are_cacheable_by_one_caller_only(server: FastMCP[Any]) -> None:
    server = FastMCP("test", cache_ttl=60)

    @server.tool
    @secure_tool(scopes=["mcp.decrypt"])
    async def read() -> str:
        return "x"

    secure_server(server)
    result = post(server.http_app(stateless_http=True), "tools/list", {}).json()["result"]
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 60_000)


def test_every_way_to_speak_goes_through_the_two_guarded_methods() -> None:
    """ProtectedSession overrides `send_request` and `_notify`; the SDK must not grow a third way out."""
    from mcp.server.session import ServerSession

    source = inspect.getsource(ServerSession)
    assert source.count(".send_raw_request(") == 1
    assert source.count(".notify(") == 1
