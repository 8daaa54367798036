"""What a doctor says about Redis, for every service."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.service.findings import Finding
from security_common.service.redis_examination import examine_redis, judge_redis
from security_common.service.redis_for_commands import explain_for
from security_common.service.redis_identity import RedisIdentity
from security_common.service.settings import ServiceSettings

__all__ = ["find_redis_failure", "find_redis_weaknesses"]

_ANSWER_SECONDS = 3.0


async def find_redis_failure(settings: ServiceSettings, redis: Redis) -> Finding | None:
    """Why Redis cannot be used at all; None when it answers."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as failure:
        explained = explain_for(settings, failure)
        return Finding(f"redis: {explained.description}", ok=False, hint=explained.hint)
    return None


async def find_redis_weaknesses(redis: Redis, identity: RedisIdentity, settings: ServiceSettings) -> list[Finding]:
    """What it is, whether it was used before, and what about it can lose or refuse data. Raises `RedisError`."""
    prefix = settings.model_config.get("env_prefix", "")
    facts = await examine_redis(redis)
    weaknesses = judge_redis(facts, durability=settings.redis_durability, prefix=prefix)
    replaced = await identity.examine()
    return [
        Finding(f"redis: {facts}", ok=True),
        *([Finding(f"redis: {replaced.description}", ok=False, hint=replaced.hint)] if replaced else []),
        *(weaknesses or [Finding("redis: keeps what it is given", ok=True)]),
    ]
