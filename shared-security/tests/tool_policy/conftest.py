"""A FastMCP server, a real journal in the folder of each test, and the tool calls that are recorded in it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import FastMCP

from security_common.audit import Journal, open_journal
from security_common.encryption import EncryptionService, Keyring
from security_common.settings import SecuritySettings
from security_common.tool_policy import configure


@pytest.fixture
def encryption() -> EncryptionService:
    ring = Keyring.generate()
    return EncryptionService(lambda: ring)


@pytest.fixture
def server() -> FastMCP[Any]:
    return FastMCP("test")


@pytest.fixture(scope="session")
def journal_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own: journals need one that outlives the loops of the tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def close_journal(journal: Journal, journal_loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    return lambda: asyncio.run_coroutine_threadsafe(journal.stop(), journal_loop).result()


@pytest.fixture(autouse=True)
def journal(
    tmp_path: Path, encryption: EncryptionService, journal_loop: asyncio.AbstractEventLoop
) -> Iterator[Journal]:
    opened = open_journal(service="test", settings=SecuritySettings(audit_dir=tmp_path), redis=None)
    asyncio.run_coroutine_threadsafe(opened.start(), journal_loop).result()
    configure(journal=opened, encryption=encryption)
    yield opened
    configure()
    asyncio.run_coroutine_threadsafe(opened.stop(), journal_loop).result()


@pytest.fixture
def recorded_calls(journal: Journal, tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the recorded tool calls from the journal file, each time it is called."""

    def read() -> list[dict[str, Any]]:
        lines = (tmp_path / "test" / "0" / "security_audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event_type"] == "tool_call"]

    return read
