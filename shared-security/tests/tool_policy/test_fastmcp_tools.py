"""`secure_tool` on a real FastMCP server: schemas, messages, errors, resources, prompts and audit events."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.server.elicitation import AcceptedElicitation
from fastmcp.utilities.types import File, Image
from fastmcp_calls import call, caller, with_client
from mcp import MCPError
from pydantic import BaseModel, Field

from security_common.encryption import EncryptionService
from security_common.fastmcp import secure_server
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import Identifier, secure_tool

RecordedCalls = Callable[[], list[dict[str, Any]]]
CLEAR = "hong@example.com 010-1234-5678"
MASKED = "h***@example.com 010-****-5678"


class Person(BaseModel):
    name: str
    phone: str


pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
"""Clients of the 2025-11-25 protocol use log messages and questions, which the SDK deprecates."""


def test_a_decorated_function_keeps_its_schemas(server: FastMCP[Any]) -> None:
    async def plain(
        person_id: Annotated[str, Identifier, Field(description="whose")], ctx: Context, n: int = 1
    ) -> Person:
        """Look someone up."""
        raise AssertionError

    server.tool(plain, name="plain")
    server.tool(secure_tool(pii_policy="mask")(plain), name="secured")
    tools = asyncio.run(server.list_tools())
    bare, secured = (tool.to_mcp_tool().model_dump(exclude={"name", "title"}) for tool in tools)
    assert bare == secured
    assert set(secured["input_schema"]["properties"]) == {"person_id", "n"}


def test_models_lists_and_nested_json_are_masked(server: FastMCP[Any], recorded_calls: RecordedCalls) -> None:
    seen: list[Any] = []

    @server.tool
    @secure_tool(pii_policy="mask")
    async def echo(person: Person, notes: list[str], ctx: Context, blob: str = "") -> dict[str, Any]:
        seen.append((person, notes))
        return {"person": person, "notes": notes, "json": json.dumps({"phone": "010-1234-5678"})}

    secure_server(server)
    result = call(server, "echo", {"person": {"name": "a", "phone": "010-1234-5678"}, "notes": [CLEAR]})
    assert seen == [(Person(name="a", phone="010-****-5678"), [MASKED])]
    assert result.structured_content == {
        "person": {"name": "a", "phone": "010-****-5678"},
        "notes": [MASKED],
        "json": '{"phone": "010-****-5678"}',
    }
    assert json.loads(result.content[0].text) == result.structured_content
    (event,) = recorded_calls()
    assert (event["tool_name"], event["action_taken"]) == ("echo", "executed_with_masking")


def test_the_registered_name_of_a_sync_tool_is_recorded(server: FastMCP[Any], recorded_calls: RecordedCalls) -> None:
    @server.tool(name="shown.name")
    @secure_tool(pii_policy="mask")
    def inner_name(text: str) -> str:
        return text

    secure_server(server)
    assert call(server, "shown.name", {"text": CLEAR}).data == MASKED
    assert recorded_calls()[0]["tool_name"] == "shown.name"


def test_injected_dependencies_are_not_searched(server: FastMCP[Any]) -> None:
    class Pool:
        """An object of the program, which the walk would refuse."""

    @server.tool
    @secure_tool(pii_policy="mask")
    async def use(text: str, ctx: Context, pool: Any = Depends(Pool)) -> str:  # noqa: B008 - how FastMCP injects
        assert isinstance(pool, Pool)
        assert isinstance(ctx, Context)
        return text

    secure_server(server)
    assert call(server, "use", {"text": CLEAR}).data == MASKED


def test_progress_log_messages_and_questions_are_masked(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture, recorded_calls: RecordedCalls
) -> None:
    messages: list[Any] = []

    @server.tool
    @secure_tool(pii_policy="mask")
    async def send_messages(ctx: Context) -> str:
        await ctx.report_progress(1, 2, f"at {CLEAR}")
        await ctx.info(f"info {CLEAR}", extra={"phone": "010-1234-5678"})
        answer = await ctx.elicit(f"is {CLEAR} right?", str)
        assert isinstance(answer, AcceptedElicitation)
        return str(answer.data)

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message)

    async def on_log(message: Any) -> None:
        messages.append(message.data)

    async def on_question(message: str, kind: type, params: Any, context: Any) -> Any:
        messages.append(message)
        return {"value": "010-9876-5432"}

    secure_server(server)
    with caplog.at_level(logging.DEBUG):
        result = call(
            server,
            "send_messages",
            progress_handler=on_progress,
            log_handler=on_log,
            elicitation_handler=on_question,
            mode="legacy",
        )
    assert sorted(map(str, messages)) == sorted(
        [f"at {MASKED}", str({"msg": f"info {MASKED}", "extra": {"phone": "010-****-5678"}}), f"is {MASKED} right?"]
    )
    assert result.data == "010-****-5432", "the answer of the client is masked like an argument"
    assert "-1234-" not in caplog.text
    assert recorded_calls()[0]["pii_kinds"]["PHONE"] >= 5


def test_errors_are_masked_and_name_code_and_reason(
    server: FastMCP[Any], recorded_calls: RecordedCalls, caplog: pytest.LogCaptureFixture
) -> None:
    @server.tool
    @secure_tool(pii_policy="reject")
    async def strict(text: str) -> str:
        return text

    @server.tool
    @secure_tool(pii_policy="mask")
    async def broken() -> str:
        raise ValueError(f"cannot reach {CLEAR}")

    @server.tool
    @secure_tool(pii_policy="mask")
    async def tool_error() -> str:
        raise ToolError(f"call {CLEAR}")

    secure_server(server)
    with caplog.at_level(logging.DEBUG), pytest.raises(ToolError) as refused:
        call(server, "strict", {"text": CLEAR})
    assert "personal_data_refused: personal data is not accepted here (text: EMAIL, PHONE)" in str(refused.value)
    with caplog.at_level(logging.DEBUG), pytest.raises(ToolError) as failed:
        call(server, "broken")
    assert str(failed.value) == f"Error calling tool 'broken': cannot reach {MASKED}"
    with caplog.at_level(logging.DEBUG), pytest.raises(ToolError) as raised:
        call(server, "tool_error")
    assert str(raised.value) == f"call {MASKED}"
    assert "-1234-" not in caplog.text
    assert [event["outcome"] for event in recorded_calls()] == ["refused", "failure", "failure"]


def test_invalid_arguments_are_recorded_and_the_error_has_no_values(
    server: FastMCP[Any], recorded_calls: RecordedCalls, caplog: pytest.LogCaptureFixture
) -> None:
    @server.tool
    @secure_tool(pii_policy="mask")
    async def take(number: int) -> int:
        return number

    secure_server(server)
    with caplog.at_level(logging.DEBUG):
        for arguments in ({"number": CLEAR}, {"number": 1, CLEAR: 2}):
            with pytest.raises(ToolError) as caught:
                call(server, "take", arguments)
            assert "1234" not in str(caught.value)
            assert "hong" not in str(caught.value)
        assert "Unexpected keyword argument" in str(caught.value)
        with pytest.raises(ToolError, match="Unknown tool"):
            call(server, "no_such_tool")
    assert "-1234-" not in caplog.text
    assert [(event["reason"], event["action_taken"]) for event in recorded_calls()] == [
        ("invalid_arguments", "rejected"),
        ("invalid_arguments", "rejected"),
        ("unknown_component", "rejected"),
    ]


def test_an_unknown_name_with_personal_data_is_masked_in_the_error(server: FastMCP[Any]) -> None:
    secure_server(server)
    requests: list[Callable[[Client[Any]], Awaitable[Any]]] = [
        lambda client: client.call_tool("010-1234-5678"),
        lambda client: client.read_resource("people://010-1234-5678"),
        lambda client: client.get_prompt("010-1234-5678"),
    ]
    for request in requests:
        with pytest.raises((ToolError, MCPError), match=r"Unknown .*010-\*\*\*\*-5678") as caught:
            with_client(server, request)
        assert "1234" not in repr(vars(caught.value))


def test_resources_and_prompts_are_protected(server: FastMCP[Any], recorded_calls: RecordedCalls) -> None:
    @server.resource("people://{person_id}")
    @secure_tool(pii_policy="mask")
    async def person(person_id: Annotated[str, Identifier]) -> str:
        if person_id == "lost":
            raise LookupError(f"no {CLEAR}")
        return json.dumps({"id": person_id, "phone": "010-1234-5678"})

    @server.prompt
    @secure_tool(pii_policy="mask")
    def write_to(name: str) -> str:
        return f"Write to {name}"

    secure_server(server)

    async def read_and_prompt(client: Client[Any]) -> Any:
        contents = await client.read_resource("people://p_1")
        prompt = await client.get_prompt("write_to", {"name": CLEAR})
        with pytest.raises(MCPError) as caught:
            await client.read_resource("people://lost")
        return contents[0].text, prompt.messages[0].content.text, str(caught.value)

    content, prompt, error = with_client(server, read_and_prompt)
    assert json.loads(content)["phone"] == "010-****-5678"
    assert prompt == f"Write to {MASKED}"
    assert "1234" not in error
    assert [event["tool_name"] for event in recorded_calls()] == ["person", "write_to", "person"]


def test_media_content_is_searched_as_bytes(server: FastMCP[Any]) -> None:
    pixels = bytes(range(256)) * 8

    @server.tool
    @secure_tool(pii_policy="mask")
    async def media(kind: str) -> Any:
        if kind == "text":
            return File(data=CLEAR.encode(), format="plain")
        return Image(data=pixels + (CLEAR.encode() if kind == "dirty" else b""), format="png")

    secure_server(server)
    assert base64.b64decode(call(server, "media", {"kind": "clean"}).content[0].data) == pixels
    resource = call(server, "media", {"kind": "text"}).content[0].resource
    assert base64.b64decode(resource.blob).decode() == MASKED if hasattr(resource, "blob") else resource.text == MASKED
    with pytest.raises(ToolError, match="unguardable_value"):
        call(server, "media", {"kind": "dirty"})


def test_encrypted_arguments_are_bound_to_the_subject_of_the_token(
    server: FastMCP[Any], encryption: EncryptionService
) -> None:
    @server.tool
    @secure_tool(requires_encryption=True, pii_policy="encrypt")
    async def keep(data: str) -> str:
        return data

    secure_server(server)
    reset = current_caller.set(caller("mcp.access"))
    try:
        kept = call(server, "keep", {"data": "plain"}).data
    finally:
        current_caller.reset(reset)
    assert encryption.recognizes(kept)
    context = {"owner": "http://localhost:8081 u_1", "tool": "keep", "field": "data"}
    assert encryption.decrypt(kept, context=context) == "plain"


def test_messages_from_a_thread_of_the_tool_are_masked(server: FastMCP[Any]) -> None:
    """A thread of an executor does not have the context variables of the tool."""
    messages: list[Any] = []

    @server.tool
    @secure_tool(pii_policy="mask")
    async def work(ctx: Context) -> str:
        session, loop = ctx.session, asyncio.get_running_loop()

        def send() -> None:
            sent = session.send_log_message(level="info", data=CLEAR)
            asyncio.run_coroutine_threadsafe(sent, loop).result()

        await loop.run_in_executor(None, send)
        return "done"

    async def on_log(message: Any) -> None:
        messages.append(message.data)

    secure_server(server)
    assert call(server, "work", log_handler=on_log).data == "done"
    assert messages == [MASKED]
