"""The MCP SDKs find their way in by themselves, call every tool, and step up where a tool needs more.

Each signs in through its own browser flow, registered, by its metadata document, or declared; and as a machine, with a
secret and with a key.
"""

import asyncio
import warnings
import webbrowser

import pytest
from fastmcp import Client
from fastmcp.client.auth import OAuth

from local_stack.every_tool import every_call, play_every_tool

pytestmark = pytest.mark.clients
WAYS = pytest.mark.parametrize(
    ("ground", "way"),
    [("demo", "registered"), ("demo", "document"), ("declared", "document"), ("declared", "declared")],
    indirect=["ground"],
)


@WAYS
def test_fastmcp_in_the_browser(ground, person, way, monkeypatch):
    given = {
        "registered": {},
        "document": {"client_metadata_url": ground.document_url},
        "declared": {"client_id": ground.application[0], "client_secret": ground.application[1]},
    }[way]

    async def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            provider = OAuth(f"{ground.mcp_url}/mcp", callback_timeout=30, **given)
        async with Client(f"{ground.mcp_url}/mcp", auth=provider) as session:
            await play_every_tool(session, every_call(demo=ground.is_demo))

    monkeypatch.setattr(webbrowser, "open", person.open)
    asyncio.run(run())
