"""Generated personal data never reaches the client or the log of a real FastMCP server."""

import asyncio
import json
import logging
from functools import cache
from typing import Any

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.exceptions import ToolError
from hypothesis import given
from hypothesis import strategies as st

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

PERSONAL_DATA = st.builds("010-{}-{}".format, st.integers(2000, 9999), st.integers(1000, 9999)) | st.builds(
    "{}{}@example.com".format, st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=8), st.integers(10, 99)
)
OUTPUTS = st.sampled_from(["return", "raise", "tool error", "json", "model text", "nested raise", "bad argument"])


@cache
def server_with_policy(policy: Any) -> FastMCP[Any]:
    """A server with one tool that sends its argument back in every way that a tool can send something."""
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy="observe", result_policy=policy)
    async def repeat(text: str, way: str, number: int, ctx: Context) -> Any:
        await ctx.report_progress(1, 2, text)
        await ctx.warning(text, extra={"phone": text})
        await ctx.elicit(text, str)
        if way == "raise":
            raise ValueError(text, {"detail": text})
        if way == "tool error":
            raise ToolError(text)
        if way == "nested raise":
            raise RuntimeError("failed") from KeyError(text)
        return json.dumps({"repeated": [text]}) if way == "json" else {"repeated": [text, {text: number}]}

    secure_server(server)
    return server


async def collect_output(server: FastMCP[Any], arguments: dict[str, Any]) -> list[str]:
    """Everything that the client receives during one call."""
    received: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        received.append(str(message))

    async def on_log(message: Any) -> None:
        received.append(str(message.data))

    async def on_question(message: str, kind: type, params: Any, context: Any) -> Any:
        received.append(message)
        return {"value": "yes"}

    handlers: dict[str, Any] = {
        "progress_handler": on_progress,
        "log_handler": on_log,
        "elicitation_handler": on_question,
    }
    async with Client(server, mode="legacy", **handlers) as client:
        answer = await client.call_tool("repeat", arguments, raise_on_error=False)
    return [*received, *(block.text for block in answer.content), str(answer.structured_content)]


@pytest.mark.parametrize("policy", ["mask", "encrypt"])
@given(values=st.lists(PERSONAL_DATA, min_size=1, max_size=3), way=OUTPUTS)
def test_no_personal_data_reaches_client_or_log(
    policy: str, values: list[str], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = " and ".join(["memo", *values])
    number: Any = text if way == "bad argument" else 7
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        received = asyncio.run(collect_output(server_with_policy(policy), {"text": text, "way": way, "number": number}))
    assert len(received) >= (2 if way == "bad argument" else 5)
    for value in values:
        assert value not in " ".join(received)
        assert value not in caplog.text
