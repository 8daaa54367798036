"""A client with the MCP Python SDK 1, which has an environment of its own.

Usage: python mcp1_client.py '{"url": ..., "token": ..., "calls": [[name, arguments], ...]}'
"""

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url: str, token: str, calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    async with (
        streamablehttp_client(url, headers={"authorization": f"Bearer {token}"}) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        version = (await session.initialize()).protocolVersion
        tools = [tool.name for tool in (await session.list_tools()).tools]
        results = {
            name: (await session.call_tool(name, arguments)).model_dump(by_alias=True, mode="json")
            for name, arguments in calls
        }
    return {"version": version, "tools": tools, "results": results}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(**json.loads(sys.argv[1])))))
