"""Writes that are confirmed when a replica has them, and connections to the primary that Sentinel names."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from local_stack.replicated_redis import ReplicatedRedis
from security_common.service import connect_redis
from security_common.service.redis_checks import check_redis_facts, read_redis_facts
from security_common.service.redis_replica_wait import ReplicaNotInTime
from security_common.service.redis_sentinel import SentinelUrl, parse_sentinel_url
from security_common.service.settings import ServiceSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def one_replica(tmp_path: Path) -> Iterator[ReplicatedRedis]:
    with ReplicatedRedis(tmp_path, replicas=1, sentinels=0) as servers:
        yield servers


@pytest.fixture
async def redis(one_replica: ReplicatedRedis) -> AsyncIterator[Redis]:
    async with connect_redis(ServiceSettings(redis_url=one_replica.primary.url, redis_durability="replica")) as client:
        yield client


async def test_every_kind_of_write_is_on_the_replica_when_it_is_confirmed(redis, one_replica):
    await redis.set("one", "1")
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set("two", "2").get("two")
        assert await pipe.execute() == [True, "2"]
    async with redis.pipeline(transaction=False) as pipe:
        pipe.incr("three").incr("three")
        assert await pipe.execute() == [1, 2]
    assert await redis.register_script("return redis.call('SET', KEYS[1], '4')")(keys=["four"]) == "OK"
    async with Redis.from_url(one_replica.replicas[0].url, decode_responses=True) as replica:
        assert await replica.mget("one", "two", "three", "four") == ["1", "2", "2", "4"]


async def test_an_error_leaves_the_answers_of_a_connection_in_order(redis):
    await redis.set("text", "a")
    with pytest.raises(ResponseError):
        await redis.incr("text")
    async with redis.pipeline(transaction=True) as pipe:
        pipe.incr("text").set("after", "b")
        with pytest.raises(ResponseError):
            await pipe.execute()
    assert await redis.get("after") == "b"
    assert await redis.get("text") == "a"


async def test_a_write_without_a_replica_is_not_confirmed_and_reads_still_work(redis, one_replica):
    await redis.set("one", "1")
    one_replica.replicas[0].kill()
    with pytest.raises(RedisError):
        await redis.set("one", "2")
    assert await redis.get("one") in {"1", "2"}


async def test_a_write_that_no_replica_has_on_its_disk_in_time_raises(redis, one_replica):
    async with Redis.from_url(one_replica.replicas[0].url) as replica:
        await replica.config_set("appendonly", "no")
    with pytest.raises(ReplicaNotInTime):
        await redis.set("one", "1")
    with pytest.raises(ReplicaNotInTime):
        async with redis.pipeline(transaction=True) as pipe:
            await pipe.set("two", "2").execute()
    assert await redis.get("two") == "2"


async def test_the_checks_report_a_missing_replica_and_a_primary_that_writes_without_one(redis, one_replica):
    facts = await read_redis_facts(redis)
    assert check_redis_facts(facts, durability="replica", prefix="AUTH_") == []
    one_replica.replicas[0].kill()
    async with asyncio.timeout(60):
        while (await read_redis_facts(redis)).connected_replicas:  # noqa: ASYNC110 - Redis's own count
            await asyncio.sleep(0.05)
    await redis.config_set("min-replicas-to-write", "0")
    found = check_redis_facts(await read_redis_facts(redis), durability="replica", prefix="AUTH_")
    assert [result.ok for result in found] == [False, True]
    assert "no replica is connected" in found[0].what
    assert "AUTH_REDIS_DURABILITY=disk" in found[0].hint
    assert "min-replicas-to-write" in found[1].what


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        (
            "redis+sentinel://auth@one:26379,two/service/3",
            SentinelUrl(
                sentinels=(("one", 26379), ("two", 26379)),
                service="service",
                username="auth",
                database=3,
                uses_tls=False,
            ),
        ),
        (
            "rediss+sentinel://[::1]:1,10.0.0.2:2/service",
            SentinelUrl(
                sentinels=(("::1", 1), ("10.0.0.2", 2)), service="service", username=None, database=0, uses_tls=True
            ),
        ),
    ],
)
def test_urls_of_sentinels(url, parsed):
    assert parse_sentinel_url(url) == parsed


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one",
        "redis+sentinel:///service",
        "redis+sentinel://one,/service",
        "redis+sentinel://one:70000/service",
        "redis+sentinel://user:password@one/service",
        "redis+sentinel://one/service/first",
        "redis+sentinel://one/service?db=1",
    ],
)
def test_urls_of_sentinels_that_are_not_valid(url):
    with pytest.raises(ValueError):
        parse_sentinel_url(url)


@pytest.mark.ops
async def test_no_confirmed_write_is_lost_with_the_primary(tmp_path: Path):
    with ReplicatedRedis(tmp_path) as servers:
        settings = ServiceSettings(redis_url=servers.sentinel_url, redis_durability="replica")
        confirmed: list[str] = []
        has_enough, is_killed, is_replaced = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async with connect_redis(settings) as redis:

            async def write(writer: int) -> None:
                number = 0
                while not is_replaced.is_set():
                    key = f"{writer}:{number}"
                    number += 1
                    try:
                        await redis.set(key, "x")
                    except RedisError:
                        await asyncio.sleep(0.02)
                        continue
                    confirmed.append(key)
                    if len(confirmed) == 200:
                        has_enough.set()
                    if is_killed.is_set() and servers.primary_port() != servers.primary.port:
                        is_replaced.set()

            async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                for writer in range(8):
                    group.create_task(write(writer))
                await has_enough.wait()
                servers.primary.kill()
                is_killed.set()
            missing = [key for key in confirmed if not await redis.exists(key)]
        assert missing == []
        assert servers.primary_port() != servers.primary.port
