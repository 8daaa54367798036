"""A real journal in a folder of the test's own, and what it holds."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from security_common.audit import Journal, open_journal
from security_common.encryption import EncryptionService, Keyring
from security_common.settings import SecuritySettings
from security_common.tool_policy import configure


@pytest.fixture
def encryption() -> EncryptionService:
    ring = Keyring.generate()
    return EncryptionService(lambda: ring)


@pytest.fixture(scope="session")
def journal_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop on which journals live, in a thread of its own, as the tests come and go with theirs."""
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
def trail(journal: Journal, tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """The tool calls that stand in the journal file, read anew each time."""

    def read() -> list[dict[str, Any]]:
        lines = (tmp_path / "test" / "0" / "security_audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event_type"] == "tool_call"]

    return read
