"""What `/readyz` checks."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.service_parts import ServiceParts
from security_common.service.health import Readiness, ReadinessResult

__all__ = ["make_readiness"]

_WRITE_TIMEOUT_SECONDS = 1.0


def make_readiness(parts: ServiceParts) -> Readiness:
    """The checks of this service. `redis` only reports weaknesses, for example a Redis without durable writes."""

    def check_signing_key() -> ReadinessResult:
        return ReadinessResult(parts.keys.ready, note="" if parts.keys.ready else "no active signing key")

    def check_journal() -> ReadinessResult:
        note = "" if parts.journal.writable else "the audit journal cannot be written: check its disk"
        return ReadinessResult(parts.journal.writable, note=note)

    def check_redis_identity() -> ReadinessResult:
        replaced = parts.redis_identity.problem
        return ReadinessResult(replaced is None, note=f"{replaced.description}; {replaced.hint}" if replaced else "")

    async def check_redis_write() -> ReadinessResult:
        can_write = await _can_write(parts.redis)
        return ReadinessResult(can_write, note="" if can_write else "Redis does not answer, or accepts no writes")

    async def check_redis() -> ReadinessResult:
        health = await parts.redis_monitor.health()
        return ReadinessResult(health.answers, required=False, note="; ".join(health.notes))

    return Readiness(
        {
            "signing_key": check_signing_key,
            "redis_write": check_redis_write,
            "redis_identity": check_redis_identity,
            "journal": check_journal,
            "redis": check_redis,
        }
    )


async def _can_write(redis: Redis) -> bool:
    """Whether Redis accepts a write. One that is full or a read-only replica does not."""
    try:
        async with asyncio.timeout(_WRITE_TIMEOUT_SECONDS):
            return bool(await redis.set("auth:ready", "1", ex=60))
    except (RedisError, OSError, TimeoutError):
        return False
