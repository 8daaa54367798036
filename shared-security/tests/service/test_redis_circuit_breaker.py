"""A Redis that hangs: the first command costs its deadline, further ones fail at once, and the circuit closes again."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager

import pytest
from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.errors import StorageError
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.service import RedisMonitor, ServiceSettings, connect_redis
from security_common.service.redis_circuit_breaker import CircuitBreaker, RedisCircuitOpen

pytestmark = pytest.mark.anyio


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect_redis(ServiceSettings(redis_url=redis_server.url)) as client:
        yield client


@contextmanager
def suspended(server: RedisServer) -> Iterator[None]:
    assert server.child is not None
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.child.pid, signal.SIGCONT)


async def ended(work: Coroutine, *, within_seconds: float) -> asyncio.Task:
    """A task for the work, which must end before a timer that starts with it, up to what the event loop has to run.

    The timeouts of the work are timers of the same loop, so that a slow machine delays both.
    """
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=within_seconds)
    for _ in range(1000):
        if task.done():
            break
        await asyncio.sleep(0)
    assert task.done(), f"not ended after {within_seconds} s"
    return task


async def failure(command: Callable, *, within_seconds: float) -> type[BaseException]:
    task = await ended(command(), within_seconds=within_seconds)
    assert isinstance(task.exception(), RedisTimeoutError | StorageError)
    return type(task.exception())


async def open_circuit(redis: Redis) -> None:
    while not redis.connection_pool.circuit.is_open:
        with pytest.raises(RedisTimeoutError):
            await redis.ping()


async def test_a_command_to_a_hanging_redis_fails_within_two_seconds_and_the_next_ones_at_once(redis, redis_server):
    await redis.ping()
    circuit = redis.connection_pool.circuit
    with suspended(redis_server):
        await failure(redis.ping, within_seconds=2)
        circuit._clock = lambda: 0.0  # before the time of the next probe
        assert await failure(lambda: redis.get("here"), within_seconds=0) is RedisCircuitOpen


@pytest.mark.parametrize("number", [1, 300], ids=["one request", "more requests than connections"])
async def test_every_request_to_a_hanging_redis_fails_within_two_seconds(redis, redis_server, number):
    async def request_all() -> list[BaseException | str | None]:
        return await asyncio.gather(*(redis.get("nothing here") for _ in range(number)), return_exceptions=True)

    began = time.monotonic()
    assert await request_all() == [None] * number
    work_seconds = time.monotonic() - began
    await redis.connection_pool.disconnect()
    with suspended(redis_server):
        requests = await ended(request_all(), within_seconds=2 + work_seconds)
    assert len(requests.result()) == number
    assert all(isinstance(each, RedisTimeoutError | RedisConnectionError) for each in requests.result())


async def test_scripts_pipelines_and_rate_limits_share_the_circuit(redis, redis_server):
    storage = RedisStorage(
        redis_server.url, implementation="redispy", connection_pool=redis.connection_pool, wrap_exceptions=True
    )
    limit = RateLimitItemPerSecond(10)
    script = redis.register_script("return 1")
    assert await script() == 1
    with suspended(redis_server):
        await open_circuit(redis)
        for command in (
            script,
            lambda: redis.pipeline().set("here", "yes").execute(),
            lambda: storage.incr(limit.key_for("caller"), 1),
        ):
            await failure(command, within_seconds=1.6)  # one of them may be the probe of this second


async def test_the_circuit_closes_when_redis_answers_again(redis, redis_server):
    with suspended(redis_server):
        await open_circuit(redis)
    async with asyncio.timeout(60):
        while redis.connection_pool.circuit.is_open:
            try:
                await redis.ping()
            except RedisTimeoutError:
                await asyncio.sleep(0.05)
    assert await redis.set("here", "again")


async def test_readiness_answers_within_two_seconds_while_redis_hangs(redis, redis_server):
    monitor = RedisMonitor(redis, durability="disk", prefix="MCP_")
    assert (await monitor.health()).answers
    with suspended(redis_server):
        for _ in range(3):
            health = await ended(monitor.health(), within_seconds=2)
            assert not health.result().answers


async def test_a_blocking_read_may_take_longer_than_the_deadline(redis):
    redis.connection_pool.circuit.deadline_seconds = 0.2
    assert await redis.xread({"no-such-stream": "$"}, block=600) in ({}, [], None)
    await redis.set("here", "yes")
    assert await redis.execute_command("WAITAOF", 1, 0, 1000) == [1, 0]
    assert not redis.connection_pool.circuit.is_open


async def test_a_redis_that_refuses_connections_does_not_open_the_circuit():
    (port,) = free_ports(1)
    settings = ServiceSettings(redis_url=f"redis://127.0.0.1:{port}/0")
    async with connect_redis(settings) as redis:
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        assert not redis.connection_pool.circuit.is_open


def test_one_slow_command_among_others_does_not_open_the_circuit():
    now = 100.0
    circuit = CircuitBreaker(deadline_seconds=1.5, clock=lambda: now)
    circuit.note_response()
    now = 101.0
    circuit.note_late_response()
    assert not circuit.is_open
    now = 101.5
    circuit.note_late_response()
    assert circuit.is_open


def test_an_open_circuit_lets_one_command_pass_in_each_second():
    now = 100.0
    circuit = CircuitBreaker(deadline_seconds=1.5, clock=lambda: now)
    circuit.note_late_response()
    passed = []
    for tenth in range(35):
        now = 100.0 + tenth / 10
        try:
            circuit.check()
        except RedisCircuitOpen:
            continue
        passed.append(tenth)
    assert passed == [10, 20, 30]
    circuit.note_response()
    circuit.check()


@pytest.mark.parametrize("steps", range(8))
async def test_a_command_that_is_cancelled_as_it_is_sent_ends_so(redis: Redis, redis_server: RedisServer, steps: int):
    await redis.ping()
    with suspended(redis_server):
        command = asyncio.create_task(redis.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
    assert await redis.echo("the next response") == "the next response"
