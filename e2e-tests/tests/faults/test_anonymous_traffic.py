"""Unauthenticated clients cannot fill the memory of the services: it does not grow in five minutes of traffic.

`pytest -o log_cli=true --log-cli-level=info` prints the resident memory of both services every 15 seconds.
"""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
from redis import Redis

from local_stack.faults.anonymous_traffic import KINDS, AnonymousTraffic
from local_stack.stack import AUTH, MCP, Stack, start_stack

logger = logging.getLogger(__name__)

WARM_UP_SECONDS, WHOLE_SECONDS, SAMPLE_SECONDS = 60, 300, 15
REQUESTS_PER_SECOND = 120
ALLOWED_GROWTH_BYTES = 10 * 1024 * 1024


@pytest.fixture
def stack(tmp_path):
    proxies = {"AUTH_TRUSTED_PROXIES": "127.0.0.1", "MCP_TRUSTED_PROXIES": "127.0.0.1"}
    with start_stack(tmp_path, overrides=proxies) as stack:
        yield stack


def resident_bytes(pid: int) -> int:
    """The memory of a process and its children, with shared memory divided among them (Linux: Pss)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    own_kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own_kilobytes * 1024 + sum(resident_bytes(int(child)) for child in children)


def open_redis(stack: Stack, user: str) -> Redis:
    return Redis.from_url(stack.redis_url(user), password=stack.redis_password(user), decode_responses=True)


def lasting_keys(stack: Stack) -> set[str]:
    """The keys of both services that never expire."""
    found: set[str] = set()
    for user in ("auth", "mcp"):
        with open_redis(stack, user) as redis:
            found |= {key for key in redis.scan_iter(f"{user}:*", count=1000) if redis.ttl(key) == -1}
    return found


async def run_traffic(stack: Stack) -> tuple[list[dict[str, int]], AnonymousTraffic]:
    """The memory of each service at every sample, in bytes, while the traffic runs."""
    traffic = AnonymousTraffic(stack.auth_url, stack.mcp_url, REQUESTS_PER_SECOND)
    running = asyncio.create_task(traffic.run())
    samples: list[dict[str, int]] = []
    while len(samples) * SAMPLE_SECONDS < WHOLE_SECONDS:
        await asyncio.wait({running}, timeout=SAMPLE_SECONDS)
        assert not running.done(), running.exception()
        samples.append({name: resident_bytes(stack.children[name].pid) for name in (AUTH, MCP)})
        report(len(samples) * SAMPLE_SECONDS, samples[-1], traffic.answers.total())
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return samples, traffic


def report(seconds: int, sample: dict[str, int], requests: int) -> None:
    memory = ", ".join(f"{name} {size / 1024 / 1024:.1f} MiB" for name, size in sample.items())
    logger.info("after %d s and %d requests: %s", seconds, requests, memory)


@pytest.mark.deep
def test_memory_does_not_grow_after_the_first_minute(stack, caplog) -> None:
    caplog.set_level(logging.WARNING, logger="httpx2")  # otherwise it logs a line for each request
    lasting = lasting_keys(stack)
    samples, traffic = asyncio.run(run_traffic(stack))
    with open_redis(stack, "auth") as redis:
        logger.info("Redis: %d bytes, %d keys", redis.info("memory")["used_memory"], redis.dbsize())
    logger.info("answers: %s", sorted(traffic.answers.items(), key=str))
    assert {kind for kind, _ in traffic.answers} == set(KINDS)
    warm, last = samples[WARM_UP_SECONDS // SAMPLE_SECONDS - 1], samples[-1]
    grown = {name: last[name] - warm[name] for name in last}
    assert max(grown.values()) <= ALLOWED_GROWTH_BYTES, grown
    assert lasting_keys(stack) <= lasting, "everything that unauthenticated clients leave in Redis expires"
