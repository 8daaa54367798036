"""Questions in the 2026-07-28 protocol: a question is the result of a call, and the answer comes with the next call."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import mcp_types as types
import pytest
from fastmcp import Client, Context, FastMCP

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool

CLEAR, MASKED = "hong@example.com 010-1234-5678", "h***@example.com 010-****-5678"
ANSWER = "010-9876-5432"
FORM: Any = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}


def server_with_question(policy: Any, received: list[str]) -> FastMCP[Any]:
    """A server with a tool that asks a question and adds the answer to `received`."""
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy=policy)
    async def ask(ctx: Context) -> str | types.InputRequiredResult:
        if ctx.input_responses is None:
            form = types.ElicitRequestFormParams(message=f"is {CLEAR} right?", requested_schema=FORM)
            return types.InputRequiredResult(input_requests={"who": types.ElicitRequest(params=form)})
        received.append(ctx.input_responses["who"].content["value"])
        return "thank you"

    secure_server(server)
    return server


@pytest.mark.parametrize(
    ("policy", "received_answer", "question"),
    [("mask", "010-****-5432", MASKED), ("encrypt", "enc:v1:", MASKED), ("observe", ANSWER, CLEAR)],
)
def test_questions_and_answers_are_protected(
    policy: str, received_answer: str, question: str, recorded_calls: Callable[[], list[dict[str, Any]]]
) -> None:
    received, questions = [], []

    async def answer(message: str, *_: Any) -> Any:
        questions.append(message)
        return {"value": ANSWER}

    async def call_tool() -> Any:
        async with Client(
            server_with_question(policy, received), mode="2026-07-28", elicitation_handler=answer
        ) as client:
            return (await client.call_tool("ask")).data

    assert asyncio.run(call_tool()) == "thank you"
    assert questions == [f"is {question} right?"]
    assert [each.startswith(received_answer) for each in received] == [True]
    assert [event["pii_kinds"] for event in recorded_calls()] == [{"EMAIL": 1, "PHONE": 1}, {"PHONE": 1}]


def test_an_answer_with_personal_data_is_refused_under_the_reject_policy() -> None:
    received: list[str] = []

    async def answer(*_: Any) -> Any:
        return {"value": ANSWER}

    async def call_tool() -> Any:
        async with Client(
            server_with_question("reject", received), mode="2026-07-28", elicitation_handler=answer
        ) as client:
            return await client.call_tool("ask", raise_on_error=False)

    refused = asyncio.run(call_tool()).content[0].text
    assert refused.startswith("personal_data_refused: personal data is not accepted here (reply: PHONE)")
    assert received == []


@pytest.mark.parametrize("member", ["inputResponses", "input_responses"])
def test_an_answer_is_protected_in_both_spellings_of_its_member(member: str) -> None:
    received: list[str] = []
    app = server_with_question("mask", received).http_app(stateless_http=True, json_response=True)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    answers = {"who": {"action": "accept", "content": {"value": ANSWER}}}
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "_meta": meta, member: answers},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "ask",
    }

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post("/mcp", json=body, headers=headers)

    assert asyncio.run(send()).json()["result"]["content"][0]["text"] == "thank you"
    assert received == ["010-****-5432"]
