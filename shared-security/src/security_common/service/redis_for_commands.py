"""The Redis connection of a command: checked before the work begins, and every failure explained to the operator."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.redis_errors import RedisUnavailable, explain_redis_failure
from security_common.service.redis_client import connect
from security_common.service.settings import ServiceSettings

__all__ = ["connected", "explain_for"]

_FIRST_ANSWER_SECONDS = 2.0


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncGenerator[Redis]:
    """A connection that has answered once. Raises `SecretMissing` or `RedisUnavailable`, from the block too."""
    redis = connect(settings)
    try:
        async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
            await redis.ping()
        yield redis
    except (RedisError, TimeoutError, ConnectionError) as failure:
        raise explain_for(settings, failure) from failure
    except SecurityError as failure:
        # A store's own error for "Redis does not answer" is for clients, who can only try again.
        if isinstance(failure.__cause__, RedisError):
            raise explain_for(settings, failure.__cause__) from failure
        raise
    finally:
        await redis.aclose()


def explain_for(settings: ServiceSettings, failure: Exception) -> RedisUnavailable:
    """The failure in terms of this service's settings."""
    prefix = settings.model_config.get("env_prefix", "")
    return explain_redis_failure(
        failure, url=settings.redis_url, url_setting=f"{prefix}REDIS_URL", file_setting=f"{prefix}REDIS_PASSWORD_FILE"
    )
