"""Calls of a FastMCP server in the same process, for tests of the tool policy."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp import Client, FastMCP

from security_common.tokens.access_token import AccessToken, Caller


def with_client(server: FastMCP[Any], use: Callable[[Client[Any]], Awaitable[Any]], **options: Any) -> Any:
    """What `use` returns for a connected client. `options` are those of the client."""

    async def run() -> Any:
        async with Client(server, **options) as client:
            return await use(client)

    return asyncio.run(run())


def call(server: FastMCP[Any], name: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
    """The result of a tool. Raises ToolError if the call fails."""
    return with_client(server, lambda client: client.call_tool(name, arguments or {}), **options)


async def call_raw(client: Client[Any], name: str, arguments: dict[str, Any] | None = None) -> str:
    """The whole result of a tool as JSON."""
    result = await client.call_tool_mcp(name, arguments or {})
    return result.model_dump_json(by_alias=True)


def caller(*scopes: str) -> Caller:
    """A caller whose verified token has these scopes."""
    token = AccessToken(
        issuer="http://localhost:8081",
        subject="u_1",
        client_id="agent",
        audience=(),
        scopes=frozenset(scopes),
        expires_at_seconds=0,
        issued_at_seconds=0,
        token_id="j",
        key_id="k",
    )
    return Caller(token=token, source_address="192.0.2.1", trace_id="1" * 32)
