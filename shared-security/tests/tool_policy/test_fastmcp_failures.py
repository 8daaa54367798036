"""Whatever a tool raises, the MCP endpoint answers, goes on, and sends no personal data."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp import MCPError

from security_common.fastmcp import secure_server
from security_common.tool_policy import SecuredCall, secure_tool

RecordedCalls = Callable[[], list[dict[str, Any]]]
PHONE, MASKED = "010-1234-5678", "010-****-5678"


class Abort(BaseException):
    """An exception that `except Exception` does not catch."""


def make_failure(kind: str) -> BaseException:
    group = ExceptionGroup(f"group {PHONE}", [ValueError(PHONE), ExceptionGroup("inner", [KeyError(PHONE)])])
    return {
        "exception": ValueError(f"tel {PHONE}"),
        "group": group,
        "base group": BaseExceptionGroup(f"group {PHONE}", [Abort(PHONE), ValueError("x")]),
        "abort": Abort(f"tel {PHONE}"),
        "exit": SystemExit(f"tel {PHONE}"),
        "interrupt": KeyboardInterrupt(f"tel {PHONE}"),
        "cancelled": asyncio.CancelledError(f"tel {PHONE}"),
        "generator exit": GeneratorExit(f"tel {PHONE}"),
        "stop": StopIteration(f"tel {PHONE}"),
        "async stop": StopAsyncIteration(f"tel {PHONE}"),
        "mcp error": MCPError(-32001, f"tel {PHONE}", {"tel": [PHONE]}),
        "tool error": ToolError(f"tel {PHONE}"),
    }[kind]


KINDS = [
    "exception",
    "group",
    "base group",
    "abort",
    "exit",
    "interrupt",
    "cancelled",
    "generator exit",
    "stop",
    "async stop",
    "mcp error",
    "tool error",
]


def server_that_fails(before: Middleware | None = None, after: Middleware | None = None) -> FastMCP[Any]:
    """A server that is secured between the registration of two middlewares of the owner."""
    server: FastMCP[Any] = FastMCP("test")
    if before is not None:
        server.add_middleware(before)

    @server.tool(name="async")
    @secure_tool(pii_policy="mask")
    async def fail(kind: str) -> str:
        raise make_failure(kind)

    @server.tool(name="sync")
    @secure_tool(pii_policy="mask")
    def fail_in_thread(kind: str) -> str:
        raise make_failure(kind)

    @server.tool
    @secure_tool(pii_policy="mask")
    async def greet() -> str:
        return "hello"

    @server.resource("files://{kind}")
    @secure_tool(pii_policy="mask")
    async def file(kind: str) -> str:
        raise make_failure(kind.replace("_", " "))

    @server.prompt
    @secure_tool(pii_policy="mask")
    async def letter(kind: str) -> str:
        raise make_failure(kind)

    secure_server(server)
    if after is not None:
        server.add_middleware(after)
    return server


def request_of(method: str, params: dict[str, Any], version: str) -> tuple[dict[str, Any], dict[str, str]]:
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
    if version == "2026-07-28":
        headers |= {"mcp-method": method, "mcp-name": str(params.get("name") or params.get("uri", ""))}
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {**params, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize("json_response", [True, False])
def test_the_endpoint_survives_every_exception(
    version: str, json_response: bool, recorded_calls: RecordedCalls
) -> None:
    """All kinds one after the other, against one running endpoint, and then a call that succeeds."""
    app = server_that_fails().http_app(stateless_http=True, json_response=json_response)

    async def run() -> list[str]:
        answers: list[str] = []
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(app.lifespan(app))
            transport = httpx2.ASGITransport(app=app)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=20)
            )
            for method, params in [
                *(("tools/call", {"name": name, "arguments": {"kind": kind}}) for kind in KINDS for name in FUNCTIONS),
                *(("resources/read", {"uri": f"files://{kind.replace(' ', '_')}"}) for kind in KINDS),
                *(("prompts/get", {"name": "letter", "arguments": {"kind": kind}}) for kind in KINDS),
                ("tools/call", {"name": "greet", "arguments": {}}),
            ]:
                body, headers = request_of(method, params, version)
                answer = await http.post("/mcp", json=body, headers=headers)
                assert answer.status_code == 200, (method, params, answer.text)
                answers.append(answer.text)
        return answers

    *failures, greeting = asyncio.run(run())
    assert "hello" in greeting
    for answer in failures:
        assert '"error"' in answer or '"isError":true' in answer, answer
        assert "1234" not in answer
    events = recorded_calls()
    assert len(events) == len(failures) + 1, "each call is recorded once"
    assert {event["outcome"] for event in events[:-1]} == {"failure"}
    assert "-1234-" not in str(events)


FUNCTIONS = ["async", "sync"]


@pytest.mark.parametrize("policy", ["mask", "encrypt", "reject", "observe"])
def test_a_plain_function_raises_the_type_that_it_raised(policy: Any, recorded_calls: RecordedCalls) -> None:
    @secure_tool(pii_policy=policy)
    async def leave() -> None:
        raise SystemExit("3")

    @secure_tool(pii_policy=policy)
    def abort() -> None:
        raise Abort(f"tel {PHONE}")

    with pytest.raises(SystemExit):
        asyncio.run(leave())
    with pytest.raises(Abort) as caught:
        abort()
    assert str(caught.value) == (f"tel {PHONE}" if policy == "observe" else f"tel {MASKED}")
    assert [event["reason"] for event in recorded_calls()] == ["SystemExit", "Abort"]


class Breaking(Middleware):
    """A middleware of the owner with an error of its own, after the tool has returned."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    async def on_request(self, context: Any, call_next: Any) -> Any:
        result = await call_next(context)
        if context.method in {"tools/call", "tools/list"}:
            raise self.failure
        return result


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("kind", ["exception", "abort", "exit", "group", "mcp error", "tool error"])
def test_errors_of_the_owners_middleware_are_protected_and_recorded(
    kind: str, order: str, recorded_calls: RecordedCalls, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_that_fails(**{order: Breaking(make_failure(kind))})

    async def use() -> str:
        async with Client(server, mode="legacy") as client:
            with pytest.raises((MCPError, ToolError)) as caught:
                await client.call_tool("greet")
            with pytest.raises((MCPError, ToolError)):
                await client.list_tools()
            return repr((str(caught.value), vars(caught.value)))

    shown = asyncio.run(use())
    assert "1234" not in shown
    assert "-1234-" not in caplog.text
    # The tool itself succeeded, and FastMCP answers a ToolError with a result that says that there was an error.
    expected = "success" if kind == "tool error" else "failure"
    assert [event["outcome"] for event in recorded_calls()] == [expected]


def test_the_text_of_an_unexpected_exception_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK would send it: only errors that are meant for clients have a text for them."""
    server = server_that_fails(before=Breaking(RuntimeError(f"internal path of {PHONE}")))

    async def use() -> Any:
        async with Client(server, mode="legacy") as client:
            with pytest.raises(MCPError) as caught:
                await client.call_tool_mcp("greet", {})
            return caught.value.error

    error = asyncio.run(use())
    assert (error.code, error.message, error.data) == (-32603, "Internal server error", None)
    (line,) = [each.getMessage() for each in caplog.records if "call_failed" in each.getMessage()]
    assert f"cause=RuntimeError: internal path of {MASKED}" in line


def test_a_tool_that_fails_because_something_else_was_cancelled_is_a_failure(recorded_calls: RecordedCalls) -> None:
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy="mask")
    async def wait() -> str:
        other = asyncio.ensure_future(asyncio.Event().wait())
        other.cancel()
        await other
        return "unreachable"

    secure_server(server)

    async def use() -> None:
        async with Client(server) as client:
            with pytest.raises(ToolError, match="tool_failed: CancelledError"):
                await client.call_tool("wait")

    asyncio.run(use())
    assert [(event["outcome"], event["reason"]) for event in recorded_calls()] == [("failure", "CancelledError")]


def test_a_call_that_times_out_or_is_cancelled_is_recorded(recorded_calls: RecordedCalls) -> None:
    server: FastMCP[Any] = FastMCP("test")
    begun: list[asyncio.Event] = []

    @server.tool(timeout=0.05)
    @secure_tool(pii_policy="mask")
    async def slow() -> str:
        await asyncio.Event().wait()
        return "unreachable"

    @server.tool
    @secure_tool(pii_policy="mask")
    async def endless() -> str:
        begun[0].set()
        await asyncio.Event().wait()
        return "unreachable"

    secure_server(server)

    async def use() -> None:
        begun.append(asyncio.Event())
        async with Client(server) as client:
            with pytest.raises((ToolError, MCPError), match="timed out"):
                await client.call_tool("slow")
            task = asyncio.create_task(client.call_tool("endless"))
            await begun[0].wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(20):
                while len(recorded_calls()) < 2:  # noqa: ASYNC110 - the record of a cancelled call is written later
                    await asyncio.sleep(0.01)

    asyncio.run(use())
    assert [(event["tool_name"], event["reason"]) for event in recorded_calls()] == [
        ("slow", "cancelled"),
        ("endless", "cancelled"),
    ]


def test_a_call_that_is_cancelled_while_its_result_is_searched_is_recorded(
    recorded_calls: RecordedCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_that_fails()

    async def use() -> None:
        searching = asyncio.Event()

        async def run(call: SecuredCall, protect: Any, *values: Any) -> Any:
            if protect == call.protect_wire_result:
                searching.set()
                await asyncio.Event().wait()
            return protect(*values)

        monkeypatch.setattr(SecuredCall, "run", run)
        async with Client(server) as client:
            task = asyncio.create_task(client.call_tool("greet"))
            await searching.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(20):
                while not recorded_calls():  # noqa: ASYNC110 - the record of a cancelled call is written later
                    await asyncio.sleep(0.01)

    asyncio.run(use())
    assert [(event["tool_name"], event["reason"]) for event in recorded_calls()] == [("greet", "cancelled")]


def answer_once(use: Callable[[Client[Any]], Awaitable[Any]], server: FastMCP[Any]) -> Any:
    async def run() -> Any:
        async with Client(server) as client:
            return await use(client)

    return asyncio.run(run())


def test_a_result_that_cannot_be_serialized_is_an_error(recorded_calls: RecordedCalls) -> None:
    server: FastMCP[Any] = FastMCP("test")

    class Opaque:
        def __repr__(self) -> str:
            return PHONE

    @server.tool
    @secure_tool(pii_policy="mask")
    async def opaque() -> Any:
        return Opaque()

    @server.tool
    @secure_tool(pii_policy="mask")
    async def deep() -> Any:
        value: Any = "x"
        for _ in range(100):
            value = {"a": value}
        return value

    secure_server(server)
    for name, match in (("opaque", "."), ("deep", "too_much_data")):

        async def use(client: Client[Any], name: str = name) -> Any:
            return await client.call_tool_mcp(name, {})

        result = answer_once(use, server)
        assert result.is_error or name == "opaque"
        assert "1234" not in result.model_dump_json()
        assert match in result.content[0].text or match == "."
    assert len(recorded_calls()) == 2
