"""Errors of Redis as errors of the stores."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from mcp_resource_service.store_errors import StoreUnavailable, redis_errors_as_unavailable

pytestmark = pytest.mark.anyio


async def test_a_full_redis_is_reported_as_full(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with RedisServer(tmp_path, port) as server:
        async with Redis.from_url(server.url) as redis:
            await redis.config_set("maxmemory", 1)
            with pytest.raises(StoreUnavailable, match="is full"), redis_errors_as_unavailable("the record store"):
                await redis.set("mcp:x", "1")
            await redis.config_set("maxmemory", 0)
            with redis_errors_as_unavailable("the record store"):
                await redis.set("mcp:x", "1")
