"""A call leaves no objects behind for the garbage collector."""

import asyncio
import gc
from typing import Any

from fastmcp import Client, Context, FastMCP

from security_common.audit import Journal
from security_common.fastmcp import secure_server
from security_common.fastmcp.outbound_messages import ProtectedChannel
from security_common.tool_policy import FrameworkRequest, secure_tool
from security_common.tool_policy.leaf_protection import LeafProtector
from security_common.tool_policy.secured_call import SecuredCall


def live_call_objects() -> list[Any]:
    return [
        each
        for each in gc.get_objects()
        if type(each) in {SecuredCall, LeafProtector, FrameworkRequest, ProtectedChannel}
    ]


def test_a_call_leaves_no_reference_cycle(journal: Journal) -> None:
    """A call refers to its whole request. Collecting thousands of them at once would stop the process."""

    @secure_tool(pii_policy="mask")
    async def echo(text: str) -> str:
        return text

    gc.disable()
    try:
        before = len(live_call_objects())
        asyncio.run(echo("010-1234-5678"))
        after = len(live_call_objects())
    finally:
        gc.enable()
    assert journal.writable
    assert after == before


def test_a_request_of_a_server_leaves_no_reference_cycle() -> None:
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy="mask")
    async def echo(text: str, context: Context) -> str:
        await context.report_progress(1, 1, text)
        return text

    secure_server(server)

    async def call() -> None:
        async with Client(server) as client:
            before = len(live_call_objects())
            await client.call_tool("echo", {"text": "010-1234-5678"})
            await client.list_tools()  # when it returns, the task of the call has ended
            assert len(live_call_objects()) == before

    gc.disable()
    try:
        asyncio.run(call())
    finally:
        gc.enable()
