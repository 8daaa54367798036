"""One stack for the whole session, real processes on ports that were free; or the one that the environment names."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from local_stack.stack import start_stack
from local_stack.story import World


@dataclass(frozen=True)
class Addresses:
    """Base addresses of what runs, without trailing slashes."""

    auth_url: str
    mcp_url: str


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """STORY_AUTH_URL and STORY_MCP_URL point the same tests at compose, or at any other place."""
    if "STORY_AUTH_URL" in os.environ:
        yield Addresses(os.environ["STORY_AUTH_URL"], os.environ["STORY_MCP_URL"])
        return
    with start_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield Addresses(stack.auth_url, stack.mcp_url)


@pytest.fixture(scope="session")
def world(addresses: Addresses) -> Iterator[World]:
    with httpx2.Client(timeout=20) as http:
        yield World(addresses.auth_url, addresses.mcp_url, http)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[2]
