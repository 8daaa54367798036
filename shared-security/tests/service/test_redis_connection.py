"""The connections to Redis that a service shares among its requests."""

import asyncio

import pytest

from security_common.service import ServiceSettings, connect_redis

pytestmark = pytest.mark.anyio


async def test_requests_wait_for_a_free_connection(redis_server) -> None:
    async with connect_redis(ServiceSettings(redis_url=redis_server.url)) as redis:
        await redis.set("here", "yes")
        assert await asyncio.gather(*(redis.get("here") for _ in range(500))) == ["yes"] * 500
        assert int((await redis.info("clients"))["connected_clients"]) <= 101


async def test_connections_are_closed_with_the_client(redis_server) -> None:
    redis = connect_redis(ServiceSettings(redis_url=redis_server.url), decode=False)
    await asyncio.gather(*(redis.ping() for _ in range(20)))
    await redis.aclose()
    async with connect_redis(ServiceSettings(redis_url=redis_server.url)) as watching:
        async with asyncio.timeout(60):
            while int((await watching.info("clients"))["connected_clients"]) > 5:  # noqa: ASYNC110 - Redis's own count
                await asyncio.sleep(0.02)
