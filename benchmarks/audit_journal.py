"""The cost of a durable audit event: events per second and core, and the latency that it adds to a request.

    python benchmarks/audit_journal.py [SECONDS]

Throughput: many concurrent callers, journal and stream together, divided by the CPU time of this process and of Redis.
Latency: 16 concurrent requests, each with a short computation in place of a tool call, with and without a recorded
event; the difference of the medians is the latency of recording.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from redis.asyncio import Redis

from local_stack.faults.fill_trail import EVENT
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.audit import Journal, open_journal
from security_common.private_files import sync_descriptor
from security_common.settings import SecuritySettings

WAITERS = 256
CONCURRENT = 16
ROUNDS = 5


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (port,) = free_ports(1)
        with RedisServer(Path(folder) / "redis", port) as server:
            async with Redis.from_url(server.url) as redis:
                settings = SecuritySettings(audit_dir=Path(folder) / "audit")
                journal = open_journal(service="benchmark", settings=settings, redis=redis)
                await journal.start()
                await throughput(journal, redis, server, seconds)
                await latency(journal, seconds)
                bare_sync(Path(folder) / "bare")
                await journal.stop()


async def throughput(journal: Journal, redis: Redis, server: RedisServer, seconds: float) -> None:
    """Records as fast as possible, until the last event is in the stream."""
    recorded, ends = 0, time.perf_counter() + seconds
    before = await redis.xlen("audit:events")
    used_before, started = cpu_seconds(server), time.perf_counter()

    async def emit() -> None:
        nonlocal recorded
        while time.perf_counter() < ends:
            await journal.record(EVENT)
            recorded += 1

    await asyncio.gather(*(emit() for _ in range(WAITERS)))
    on_disk_seconds = time.perf_counter() - started
    while await redis.xlen("audit:events") < before + recorded:  # noqa: ASYNC110  # the stream fills by itself
        await asyncio.sleep(0.01)
    shipped_seconds, used = time.perf_counter() - started, cpu_seconds(server) - used_before
    print(f"{WAITERS} waiters, {recorded} events, Redis syncs every write")
    print(f"  on disk                       {recorded / on_disk_seconds:10,.0f} events/s")
    print(f"  on disk and in the stream     {recorded / shipped_seconds:10,.0f} events/s")
    print(f"  journal + stream, per core    {recorded / used:10,.0f} events/s ({used / recorded * 1e6:.1f} us each)")


async def latency(journal: Journal, seconds: float) -> None:
    """Alternates between both kinds of request, so that other load on the machine affects both."""

    async def bare() -> None:
        work()
        await asyncio.sleep(0)

    async def recorded() -> None:
        work()
        await journal.record(EVENT)

    without: list[float] = []
    with_event: list[float] = []
    for _ in range(ROUNDS):
        without += await timed(bare, seconds / ROUNDS)
        with_event += await timed(recorded, seconds / ROUNDS)
    added = statistics.median(with_event) - statistics.median(without)
    p99 = statistics.quantiles(with_event, n=100)[98]
    print(f"{CONCURRENT} concurrent requests")
    print(f"  median without an event       {statistics.median(without) * 1e3:10.3f} ms")
    print(f"  median with a durable event   {statistics.median(with_event) * 1e3:10.3f} ms (p99 {p99 * 1e3:.3f} ms)")
    print(f"  added                         {added * 1e3:10.3f} ms")


def bare_sync(path: Path) -> None:
    """The time that the disk needs to sync a batch of 16 lines: no journal can add less."""
    times: list[float] = []
    with path.open("ab", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 700 * CONCURRENT)
            started = time.perf_counter()
            sync_descriptor(file.fileno())
            times.append(time.perf_counter() - started)
    print(f"  of which the disk's own sync  {statistics.median(times) * 1e3:10.3f} ms")


async def timed(request: Callable[[], Awaitable[None]], seconds: float) -> list[float]:
    times: list[float] = []
    ends = time.perf_counter() + seconds

    async def client() -> None:
        while True:
            started = time.perf_counter()
            if started >= ends:
                return
            await request()
            times.append(time.perf_counter() - started)

    await asyncio.gather(*(client() for _ in range(CONCURRENT)))
    return times


def work() -> int:
    """About the CPU time of a small tool in Python."""
    return sum(number * number for number in range(200))


def cpu_seconds(server: RedisServer) -> float:
    """The CPU time of this process and of Redis, user and system."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    assert server.child is not None
    fields = Path(f"/proc/{server.child.pid}/stat").read_text().rpartition(") ")[2].split()
    return own.ru_utime + own.ru_stime + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    uvloop.run(main(float((*sys.argv, "5")[1])))
