"""Other code of the owner around a tool: middleware, dependencies, and tools that call tools."""

from collections.abc import Callable
from typing import Any

import mcp_types as types
import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message, PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.server.middleware import Middleware
from fastmcp.tools import ToolResult
from fastmcp_calls import call_raw, with_client

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool

RecordedCalls = Callable[[], list[dict[str, Any]]]
PHONE, MASKED = "010-1234-5678", "010-****-5678"

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


class Rewriting(Middleware):
    """A middleware of the owner that adds to results and errors after the tool has returned."""

    async def on_call_tool(self, context: Any, call_next: Any) -> Any:
        try:
            result = await call_next(context)
        except ToolError as failure:
            raise ToolError(f"{failure}; ask {PHONE}") from failure
        content = [*result.content, types.TextContent(type="text", text=PHONE)]
        return ToolResult(content=content, structured_content={"result": PHONE}, meta={"tel": PHONE})

    async def on_read_resource(self, context: Any, call_next: Any) -> Any:
        await call_next(context)
        return ResourceResult(contents=[ResourceContent(PHONE, mime_type="text/plain", meta={"tel": PHONE})])

    async def on_get_prompt(self, context: Any, call_next: Any) -> Any:
        await call_next(context)
        return PromptResult(messages=[Message(PHONE)], description=PHONE, meta={"tel": PHONE})


@pytest.mark.parametrize("order", ["before", "after"])
def test_middleware_of_the_owner_cannot_bypass_the_policy(server: FastMCP[Any], order: str) -> None:
    @server.tool
    @secure_tool(pii_policy="mask")
    async def look_up(fail: bool = False) -> str:
        if fail:
            raise ToolError("failed")
        return "nothing"

    @server.resource("notes://all")
    @secure_tool(pii_policy="mask")
    async def notes() -> str:
        return "nothing"

    @server.prompt
    @secure_tool(pii_policy="mask")
    async def greet() -> str:
        return "nothing"

    if order == "before":
        server.add_middleware(Rewriting())
    secure_server(server)
    if order == "after":
        server.add_middleware(Rewriting())

    async def use(client: Client[Any]) -> list[str]:
        read = await client.read_resource_mcp("notes://all")
        prompt = await client.get_prompt_mcp("greet")
        return [
            await call_raw(client, "look_up"),
            await call_raw(client, "look_up", {"fail": True}),
            read.model_dump_json(by_alias=True),
            prompt.model_dump_json(by_alias=True),
        ]

    for sent in with_client(server, use):
        assert PHONE not in sent
        assert MASKED in sent


def test_a_middleware_that_calls_the_tool_again_is_recorded_twice(
    server: FastMCP[Any], recorded_calls: RecordedCalls
) -> None:
    attempts: list[int] = []

    class Retrying(Middleware):
        async def on_call_tool(self, context: Any, call_next: Any) -> Any:
            try:
                return await call_next(context)
            except ToolError:
                return await call_next(context)

    @server.tool
    @secure_tool(pii_policy="mask")
    async def look_up() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ToolError("not yet")
        return PHONE

    server.add_middleware(Retrying())
    secure_server(server)
    assert MASKED in with_client(server, lambda client: call_raw(client, "look_up"))
    assert [event["outcome"] for event in recorded_calls()] == ["failure", "success"]


def test_a_middleware_that_calls_another_tool_gets_its_protected_result(
    server: FastMCP[Any], recorded_calls: RecordedCalls
) -> None:
    seen: list[Any] = []

    class Looking(Middleware):
        async def on_call_tool(self, context: Any, call_next: Any) -> Any:
            if context.message.name == "first":
                other = await context.fastmcp_context.fastmcp.call_tool("second", run_middleware=False)
                seen.append(other.structured_content)
            return await call_next(context)

    @server.tool
    @secure_tool(pii_policy="observe")
    async def first() -> str:
        return "nothing"

    @server.tool
    @secure_tool(pii_policy="mask")
    async def second() -> str:
        return PHONE

    server.add_middleware(Looking())
    secure_server(server)
    with_client(server, lambda client: call_raw(client, "first"))
    assert seen == [{"result": MASKED}]
    assert [event["tool_name"] for event in recorded_calls()] == ["second", "first"]


def test_a_tool_that_is_called_by_another_one_is_protected_by_its_own_policy(
    server: FastMCP[Any], recorded_calls: RecordedCalls
) -> None:
    @server.tool
    @secure_tool(pii_policy="mask")
    async def inner(ctx: Context) -> str:
        await ctx.info(PHONE)
        return PHONE

    @server.tool
    @secure_tool(pii_policy="observe")
    async def outer(ctx: Context) -> Any:
        return (await ctx.fastmcp.call_tool("inner")).structured_content

    secure_server(server)
    sent = with_client(server, lambda client: call_raw(client, "outer"))
    assert PHONE not in sent
    assert MASKED in sent
    assert [event["tool_name"] for event in recorded_calls()] == ["inner", "outer"]


def test_a_secured_dependency_of_a_tool_is_protected_by_its_own_policy(
    server: FastMCP[Any], recorded_calls: RecordedCalls
) -> None:
    seen: list[str] = []

    @secure_tool(pii_policy="mask")
    async def contact() -> str:
        return PHONE

    @server.tool
    @secure_tool(pii_policy="observe")
    async def show(number: str = Depends(contact)) -> str:
        seen.append(number)
        return number

    secure_server(server)
    assert MASKED in with_client(server, lambda client: call_raw(client, "show"))
    assert seen == [MASKED]
    assert [event["tool_name"] for event in recorded_calls()] == ["contact", "show"]
