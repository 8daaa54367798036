"""An index that is fed from the embedded Redis, and a journal that ships to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from security_common.audit import AuditEvent, Outcome
from security_common.audit.event_index import IndexFeed, IndexFiles, IndexReader
from security_common.audit.event_index.index_feed import newest_entry_id

SERVICE = "mcp-resource-service"


@pytest.fixture
def files(settings) -> IndexFiles:
    return IndexFiles(settings.audit_dir / SERVICE / "index")


@pytest.fixture
def reader(files) -> IndexReader:
    return IndexReader(files)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits until a condition is true."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def complete(redis, until) -> Callable[[IndexFeed], Awaitable[None]]:
    """Waits until an index has the newest entry of the stream and the missing lines that the journals have."""

    async def wait(feed: IndexFeed) -> None:
        newest = await newest_entry_id(redis)
        async with asyncio.timeout(60):
            if newest is not None:
                await feed.wait_for(newest)
        await until(lambda: feed.position is not None and not feed.coverage.filling)

    return wait


@pytest.fixture
async def fed(files, redis, settings, complete) -> AsyncIterator[Callable[..., Awaitable[IndexFeed]]]:
    """Starts a feed and returns it when its index is complete."""
    async with AsyncExitStack() as running:

        async def start(*, clock: Callable[[], float] = time.time) -> IndexFeed:
            feed = IndexFeed(files, redis, settings, clock=clock)
            await running.enter_async_context(feed.running())
            await complete(feed)
            return feed

        yield start


@pytest.fixture
def tool_call():
    """Makes the event of a tool call."""

    def make(number: int = 0, **members) -> AuditEvent:
        defaults = {
            "event_type": "tool_call",
            "action_taken": "executed",
            "outcome": Outcome.SUCCESS,
            "user_id": f"u_{number % 2}",
            "issuer": "https://issuer.example",
            "client_id": "mcp-client",
            "tool_name": "get_user_info",
        }
        return AuditEvent(**defaults | members)

    return make
