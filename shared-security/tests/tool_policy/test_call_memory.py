"""What a call holds goes with it."""

import asyncio
import gc
from typing import Any

from security_common.journal import Journal
from security_common.tool_policy import secure_tool
from security_common.tool_policy.call import Call
from security_common.tool_policy.leaf import Leaves


def held() -> list[Any]:
    return [each for each in gc.get_objects() if type(each) in {Call, Leaves}]


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
