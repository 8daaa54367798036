"""Every way out of a FastMCP server has a policy: completions, notifications, and handlers that were added."""

import asyncio
from collections.abc import Callable
from typing import Any

import mcp_types as types
import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from fastmcp.server.middleware.response_limiting import ResponseLimitingMiddleware
from fastmcp.tools import ToolResult
from fastmcp_calls import with_client
from mcp import MCPError
from mcp.server.lowlevel import Server

from security_common.fastmcp import UnsecuredComponent, secure_server
from security_common.fastmcp.call_errors import COMPONENT_METHODS
from security_common.fastmcp.wire_policy import KNOWN_METHODS
from security_common.tool_policy import secure_tool

RecordedCalls = Callable[[], list[dict[str, Any]]]
PHONE, MASKED = "010-1234-5678", "010-****-5678"

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
def server() -> FastMCP[Any]:
    server = FastMCP[Any]("test")

    @server.prompt
    @secure_tool(pii_policy="mask")
    async def greet(name: str) -> str:
        return f"hello {name}"

    return server


def complete(server: FastMCP[Any], value: str = "h", **options: Any) -> Any:
    reference = types.PromptReference(name="greet")
    return with_client(
        server, lambda client: client.complete_mcp(reference, {"name": "name", "value": value}), **options
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("style", ["async", "sync"])
def test_completions_follow_the_policy_of_their_handler(
    server: FastMCP[Any], recorded_calls: RecordedCalls, mode: Any, style: str
) -> None:
    received: list[str] = []

    def values(argument: Any) -> list[str]:
        received.append(argument.value)
        return ["hong", PHONE]

    @secure_tool(pii_policy="mask")
    async def complete_async(ref: Any, argument: Any, context: Any) -> list[str]:
        return values(argument)

    @secure_tool(pii_policy="mask")
    def complete_sync(ref: Any, argument: Any, context: Any) -> list[str]:
        return values(argument)

    server.add_completion_handler(complete_async if style == "async" else complete_sync)
    secure_server(server)
    result = complete(server, PHONE, mode=mode)
    assert result.completion.values == ["hong", MASKED]
    assert received == [MASKED]
    (event,) = recorded_calls()
    assert (event["tool_name"], event["action_taken"]) == (f"complete_{style}", "executed_with_masking")


@pytest.mark.parametrize("policy", ["mask", "reject", "encrypt"])
def test_a_completion_that_fails_or_is_refused_has_no_personal_data(
    server: FastMCP[Any], recorded_calls: RecordedCalls, policy: Any
) -> None:
    @secure_tool(pii_policy=policy)
    async def fail(ref: Any, argument: Any, context: Any) -> list[str]:
        if argument.value == "withheld":
            return [PHONE]
        raise LookupError(PHONE)

    server.add_completion_handler(fail)
    secure_server(server)
    for value in ("h", PHONE, "withheld"):
        try:
            shown = complete(server, value).model_dump_json()
        except MCPError as error:
            shown = repr((error.error, vars(error)))
        assert "1234" not in shown
    assert len(recorded_calls()) == 3


def test_a_completion_handler_without_policy_stops_the_start(server: FastMCP[Any]) -> None:
    @server.completion
    async def complete_it(ref: Any, argument: Any, context: Any) -> list[str]:
        return [PHONE]

    with pytest.raises(UnsecuredComponent, match="the completion handler has no policy"):
        secure_server(server)


def test_the_values_of_a_late_completion_handler_are_withheld(server: FastMCP[Any]) -> None:
    secure_server(server)

    @server.completion
    async def complete_it(ref: Any, argument: Any, context: Any) -> list[str]:
        return [PHONE]

    with pytest.raises(MCPError, match="no policy"):
        complete(server)


async def answer_with_phone(ctx: Any, params: Any) -> dict[str, Any]:
    return {"phone": PHONE}


def test_a_handler_for_an_unknown_method_stops_the_start(server: FastMCP[Any]) -> None:
    server._mcp_server.add_request_handler("people/get", types.RequestParams, answer_with_phone)
    with pytest.raises(UnsecuredComponent, match="people/get") as caught:
        secure_server(server)
    assert "extensions" in caught.value.hint


def test_a_late_handler_for_an_unknown_method_is_not_called(server: FastMCP[Any]) -> None:
    called: list[int] = []

    async def answer(ctx: Any, params: Any) -> dict[str, Any]:
        called.append(1)
        return {"phone": PHONE}

    secure_server(server)
    server._mcp_server.add_request_handler("people/get", types.RequestParams, answer)

    class PeopleRequest(types.Request[types.RequestParams, str]):
        method: str = "people/get"
        params: types.RequestParams = types.RequestParams()

    async def use(client: Client[Any]) -> Any:
        with pytest.raises(MCPError, match="people/get has no policy"):
            await client.session.send_request(PeopleRequest(), types.EmptyResult)

    with_client(server, use, mode="legacy")
    assert not called


def test_every_request_method_of_the_sdk_is_known() -> None:
    """A method that a new release of the SDK adds has to be checked before it is served."""
    everything = Server[Any]("test")

    async def handler(ctx: Any, params: Any) -> Any:
        raise AssertionError

    names = [
        "list_tools",
        "call_tool",
        "list_resources",
        "list_resource_templates",
        "read_resource",
        "subscribe_resource",
        "unsubscribe_resource",
        "subscriptions_listen",
        "list_prompts",
        "get_prompt",
        "completion",
        "set_logging_level",
    ]
    everything = Server[Any]("test", **dict.fromkeys([f"on_{name}" for name in names], handler))  # type: ignore[arg-type]
    assert everything._request_handlers.keys() | {"initialize"} == KNOWN_METHODS
    assert {"tools/call", "resources/read", "prompts/get", "completion/complete"} == COMPONENT_METHODS


@pytest.mark.parametrize("middleware", [ResponseCachingMiddleware(), ResponseLimitingMiddleware()])
def test_middleware_that_answers_or_cuts_before_the_policy_stops_the_start(
    server: FastMCP[Any], middleware: Middleware
) -> None:
    server.add_middleware(middleware)
    with pytest.raises(UnsecuredComponent, match=type(middleware).__name__):
        secure_server(server)


def test_an_answer_of_a_middleware_in_place_of_the_tool_is_withheld(server: FastMCP[Any]) -> None:
    class Answering(Middleware):
        async def on_call_tool(self, context: Any, call_next: Any) -> Any:
            return ToolResult(content=[types.TextContent(type="text", text=PHONE)])

    @server.tool
    @secure_tool(pii_policy="mask")
    async def look_up() -> str:
        raise AssertionError

    secure_server(server)
    server.add_middleware(Answering())

    async def use(client: Client[Any]) -> None:
        with pytest.raises(ToolError, match="no policy"):
            await client.call_tool("look_up")

    with_client(server, use)


def test_a_late_tool_with_a_policy_is_protected_and_recorded(
    server: FastMCP[Any], recorded_calls: RecordedCalls
) -> None:
    secure_server(server)

    @server.tool
    @secure_tool(pii_policy="mask")
    async def late() -> str:
        return PHONE

    @server.resource("notes://{name}")
    @secure_tool(pii_policy="mask")
    async def notes(name: str) -> str:
        return f"{name} {PHONE}"

    async def use(client: Client[Any]) -> list[Any]:
        return [(await client.call_tool("late")).data, (await client.read_resource("notes://a"))[0].text]

    assert with_client(server, use) == [MASKED, f"a {MASKED}"]
    assert [event["tool_name"] for event in recorded_calls()] == ["late", "notes"]


def test_a_middleware_of_the_sdk_outside_of_the_policy_stops_every_call(server: FastMCP[Any]) -> None:
    async def rewrite(ctx: Any, call_next: Any) -> Any:
        result = await call_next(ctx)
        return {**result, "tools": [], "phone": PHONE}

    secure_server(server)
    server._mcp_server.middleware.insert(0, rewrite)

    async def use(client: Client[Any]) -> Any:
        return await client.list_tools()

    with pytest.raises(Exception, match="outside of the policy"):
        with_client(server, use, mode="legacy")


@pytest.mark.parametrize("way", ["session", "connection", "channel", "progress", "context", "nested task"])
def test_every_way_to_send_a_message_is_protected(server: FastMCP[Any], way: str) -> None:
    received: list[str] = []

    @server.tool
    @secure_tool(pii_policy="mask")
    async def send(ctx: Context) -> str:
        session = ctx.session
        if way == "session":
            await session.send_log_message(level="info", data={"tel": PHONE}, logger=PHONE)
        elif way == "connection":
            await session._connection.notify("notifications/message", {"level": "info", "data": PHONE})
        elif way == "channel":
            await session._request_outbound.notify("notifications/message", {"level": "info", "data": PHONE})
        elif way == "progress":
            await session.report_progress(1, 2, PHONE)
        elif way == "context":
            await ctx.info(PHONE)
        else:
            await asyncio.create_task(ctx.warning(PHONE))
        return "sent"

    async def on_log(message: Any) -> None:
        received.append(f"{message.logger} {message.data}")

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        received.append(str(message))

    secure_server(server)

    async def use(client: Client[Any]) -> Any:
        return await client.call_tool("send")

    with_client(server, use, log_handler=on_log, progress_handler=on_progress, mode="legacy")
    assert received
    assert "1234" not in str(received)
    assert MASKED in str(received)


def test_messages_of_the_owners_middleware_are_masked(server: FastMCP[Any]) -> None:
    received: list[Any] = []

    class Talking(Middleware):
        async def on_request(self, context: Any, call_next: Any) -> Any:
            await context.fastmcp_context.info(PHONE)
            return await call_next(context)

    @server.tool
    @secure_tool(pii_policy="observe")
    async def look_up() -> str:
        return "nothing"

    async def on_log(message: Any) -> None:
        received.append(message.data)

    async def use(client: Client[Any]) -> None:
        await client.list_tools()
        await client.call_tool("look_up")

    server.add_middleware(Talking())
    secure_server(server)
    with_client(server, use, log_handler=on_log, mode="legacy")
    assert received
    assert "1234" not in str(received)


def test_questions_and_their_answers_are_protected(server: FastMCP[Any]) -> None:
    asked: list[Any] = []
    answered: list[Any] = []

    @server.tool
    @secure_tool(pii_policy="mask")
    async def ask(ctx: Context) -> str:
        question = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=f"who is {PHONE}?"))
        sampled = await ctx.session.create_message(
            [question], max_tokens=9, system_prompt=f"about {PHONE}", related_request_id=ctx.request_id
        )
        answered.append(sampled.content.text)
        answered.extend(str(root.uri) for root in (await ctx.session.list_roots()).roots)
        return "asked"

    async def on_sampling(messages: Any, params: Any, context: Any) -> str:
        asked.append((str(messages), params.system_prompt))
        return f"the owner of {PHONE}"

    async def use(client: Client[Any]) -> Any:
        return await client.call_tool("ask")

    secure_server(server)
    with_client(server, use, mode="legacy", sampling_handler=on_sampling, roots=[f"file:///home/{PHONE}"])
    assert "1234" not in str(asked)
    assert answered == [f"the owner of {MASKED}", f"file:///home/{MASKED}"]
