"""A journal folder of its own and an embedded Redis for every test that asks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.audit import Journal, open_journal
from security_common.settings import SecuritySettings

OpenJournal = Callable[..., Awaitable[Journal]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> SecuritySettings:
    return SecuritySettings(audit_dir=tmp_path / "audit")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    (port,) = free_ports(1)
    with RedisServer(tmp_path_factory.mktemp("redis"), port) as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def open_one(settings: SecuritySettings, redis_server: RedisServer) -> AsyncIterator[OpenJournal]:
    """Opens journals and stops those the test left open. With `ships` they feed the embedded Redis."""
    async with AsyncExitStack() as resources:

        async def open_and_start(*, ships: bool = False, settings: SecuritySettings = settings) -> Journal:
            redis = Redis.from_url(redis_server.url) if ships else None
            if redis is not None:
                resources.push_async_callback(redis.aclose)
            journal = open_journal(service="tests", settings=settings, redis=redis)
            await journal.start()
            resources.push_async_callback(journal.stop)
            return journal

        yield open_and_start
