"""The policy `tokenize` on a real FastMCP server: structured results, messages, questions and their answers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import mcp_types as types
import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.server.elicitation import AcceptedElicitation
from pydantic import BaseModel

from security_common.fastmcp import secure_server
from security_common.pii.placeholders import find_placeholders
from security_common.tool_policy import secure_tool

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

RecordedCalls = Callable[[], list[dict[str, Any]]]
NAME, EMAIL, PHONE = "홍길동", "hong@example.com", "010-1234-5678"
FORM: Any = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}


class Person(BaseModel):
    name: str
    email: str
    phone: str


class Server:
    """A server with a directory and with tools that may see telephone numbers: `received` is what these got."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.mcp: FastMCP[Any] = FastMCP("test")
        self._add_tools()
        secure_server(self.mcp)

    def _add_tools(self) -> None:
        received = self.received

        @self.mcp.tool
        @secure_tool(pii_policy="tokenize")
        async def look_up() -> Person:
            return Person(name=NAME, email=EMAIL, phone=PHONE)

        @self.mcp.tool
        @secure_tool(pii_policy="tokenize", reveal=["PHONE"])
        async def call_number(phone: str, ctx: Context) -> str:
            received.append(phone)
            await ctx.report_progress(1, 2, f"calling {phone} for {EMAIL}")
            await ctx.warning(f"calling {phone}")
            return f"called {phone}"

        @self.mcp.tool
        @secure_tool(pii_policy="tokenize", reveal=["PHONE"])
        async def ask_during_the_call(ctx: Context) -> str:
            answer = await ctx.elicit(f"whom to call instead of {PHONE}?", str)
            received.append(answer.data if isinstance(answer, AcceptedElicitation) else "nobody")
            return "thank you"

        @self.mcp.tool
        @secure_tool(pii_policy="tokenize", reveal=["PHONE"])
        async def ask_with_the_result(ctx: Context) -> str | types.InputRequiredResult:
            answers: Any = ctx.input_responses
            if answers is None:
                form = types.ElicitRequestFormParams(message=f"is {EMAIL} right?", requested_schema=FORM)
                return types.InputRequiredResult(input_requests={"who": types.ElicitRequest(params=form)})
            received.append(answers["who"].content["value"])
            return "thank you"

        @self.mcp.tool
        @secure_tool(pii_policy="tokenize", reveal=["PHONE"])
        async def fail(phone: str) -> str:
            raise ValueError(f"{phone} is busy")

        @self.mcp.resource("contact://card", mime_type="application/json")
        @secure_tool(pii_policy="tokenize")
        async def card() -> str:
            return json.dumps({"phone": PHONE})


@pytest.fixture
def server() -> Server:
    return Server()


def call_both(server: Server, tool: str, *, answer: str = "{phone}", mode: str = "legacy") -> tuple[list[str], Any]:
    """Looks the person up and calls a tool with the placeholder. Returns what the client received, and the result."""
    output: list[str] = []
    found: dict[str, str] = {}

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        output.append(str(message))

    async def on_log(message: Any) -> None:
        output.append(str(message.data))

    async def on_question(message: str, *_: Any) -> Any:
        output.append(message)
        return {"value": answer.format(**found)}

    handlers: dict[str, Any] = {
        "progress_handler": on_progress,
        "log_handler": on_log,
        "elicitation_handler": on_question,
    }

    async def run() -> Any:
        async with Client(server.mcp, mode=mode, **handlers) as client:
            person: Any = await client.call_tool("look_up")
            found.update(person.structured_content)
            assert json.loads(person.content[0].text) == person.structured_content
            arguments = {} if tool.startswith("ask") else {"phone": found["phone"]}
            answered: Any = await client.call_tool(tool, arguments, raise_on_error=False)
            output.extend(block.text for block in [*person.content, *answered.content])
            return answered

    result = asyncio.run(run())
    output += [json.dumps(found, ensure_ascii=False), str(result.structured_content)]
    for value in (NAME, EMAIL, PHONE):
        assert value not in " ".join(output)
    return output, (found, result)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_tool_receives_the_value_and_the_client_its_placeholder(
    server: Server, mode: str, recorded_calls: RecordedCalls
) -> None:
    _, (found, result) = call_both(server, "call_number", mode=mode)
    assert [each.kind for value in found.values() for each in find_placeholders(value)] == ["PERSON", "EMAIL", "PHONE"]
    assert server.received == [PHONE]
    assert result.data == f"called {found['phone']}"
    looked_up, called = recorded_calls()
    assert (looked_up["action_taken"], called["action_taken"]) == ("executed_with_placeholders",) * 2
    assert called["revealed_kinds"] == {"PHONE": 1}


def test_messages_are_masked(server: Server) -> None:
    output, _ = call_both(server, "call_number")
    assert "calling 010-****-5678 for h***@example.com" in output
    assert any("calling 010-****-5678" in each and "h***" not in each for each in output)


@pytest.mark.parametrize(("tool", "mode"), [("ask_during_the_call", "legacy"), ("ask_with_the_result", "2026-07-28")])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("{phone}", PHONE),
        ("{phone} or {email}", PHONE + " or {email}"),
        ("010-9876-5432", "010-9876-5432"),
        ("lee@example.com", "l***@example.com"),
    ],
)
def test_answers_are_treated_like_arguments(server: Server, tool: str, mode: str, answer: str, expected: str) -> None:
    _, (found, _) = call_both(server, tool, answer=answer, mode=mode)
    assert server.received == [expected.format(**found)]


@pytest.mark.parametrize(("tool", "mode"), [("ask_during_the_call", "legacy"), ("ask_with_the_result", "2026-07-28")])
def test_an_answer_with_a_placeholder_that_the_caller_does_not_have_is_refused(
    server: Server, tool: str, mode: str
) -> None:
    _, (_, result) = call_both(server, tool, answer="[PHONE_2B3C4D]", mode=mode)
    assert result.is_error
    assert result.content[0].text.startswith("invalid_placeholder: these placeholders")
    assert server.received == []


def test_findings_of_an_answer_with_a_placeholder_are_counted_once(
    server: Server, recorded_calls: RecordedCalls
) -> None:
    call_both(server, "ask_with_the_result", answer="{phone}, lee@example.com", mode="2026-07-28")
    event = recorded_calls()[-1]
    assert event["pii_kinds"] == {"PHONE": 1, "EMAIL": 1}
    assert event["revealed_kinds"] == {"PHONE": 1}


def test_the_error_of_a_tool_has_no_value(server: Server) -> None:
    _, (_, result) = call_both(server, "fail")
    assert result.content[0].text == "Error calling tool 'fail': 010-****-5678 is busy"


def test_a_resource_has_placeholders(server: Server) -> None:
    async def read() -> str:
        async with Client(server.mcp) as client:
            contents: Any = await client.read_resource("contact://card")
            return contents[0].text

    phone = json.loads(asyncio.run(read()))["phone"]
    assert [each.kind for each in find_placeholders(phone)] == ["PHONE"]
    assert phone.startswith("[")
