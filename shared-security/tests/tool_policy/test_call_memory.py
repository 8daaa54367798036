"""What a call holds goes with it."""

import asyncio
import gc
from typing import Any

from fastmcp import Client, Context, FastMCP

from security_common.audit import Journal
from security_common.fastmcp import ProtectedSession, secure_server
from security_common.tool_policy import FrameworkAdapter, secure_tool
from security_common.tool_policy.leaf_protection import LeafProtector
from security_common.tool_policy.secured_call import SecuredCall


def held() -> list[Any]:
    return [
        each
        for each in gc.get_objects()
        if type(each) in {SecuredCall, LeafProtector, FrameworkAdapter, ProtectedSession}
    ]


def test_nothing_of_a_call_waits_for_the_collector(journal: Journal) -> None:
    """A call holds its whole request: a collector that had to find thousands of them would hold up everybody."""

    @secure_tool(pii_policy="mask")
    async def echo(text: str) -> str:
        return text

    gc.disable()
    try:
        before = len(held())
        asyncio.run(echo("010-1234-5678"))
        after = len(held())
    finally:
        gc.enable()
    assert journal.writable
    assert after == before


def test_nor_does_a_request_of_a_server() -> None:
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy="mask")
    async def echo(text: str, context: Context) -> str:
        await context.report_progress(1, 1, text)
        return text

    secure_server(server)

    async def call() -> None:
        async with Client(server) as client:
            before = len(held())
            await client.call_tool("echo", {"text": "010-1234-5678"})
            await client.list_tools()  # by then the task of the call has ended
            assert len(held()) == before

    gc.disable()
    try:
        asyncio.run(call())
    finally:
        gc.enable()
