"""The connection to Redis. Its password comes from a file and never from the URL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.redis_errors import RedisUnavailable, explain_redis_failure
from security_common.secret_files import read_secret
from security_common.service.settings import ServiceSettings
from security_common.settings import SettingInvalid

__all__ = ["connect_redis", "explain_failure", "redis_for_command"]

_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 2.0
# Commands that run at the same time. Further ones wait for a connection: the default pool of redis-py would refuse
# them at once, so that a burst of requests from one client made the requests of all others fail.
_CONNECTIONS = 100
_FREE_CONNECTION_SECONDS = 2.0
_COMMAND_LINE_ANSWER_SECONDS = 2.0


def connect_redis(settings: ServiceSettings, *, decode: bool = True) -> Redis:
    """A client with a connection pool that connects when it is first used. It returns str if `decode`, else bytes.

    Raises `SecretMissing` or `SettingInvalid`.
    """
    prefix = settings.model_config.get("env_prefix", "")
    file = settings.redis_password_file
    password = read_secret(file, f"{prefix}REDIS_PASSWORD_FILE").decode() if file else None
    try:
        pool = BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=_CONNECTIONS,
            timeout=_FREE_CONNECTION_SECONDS,
            password=password,
            decode_responses=decode,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            health_check_interval=15,
            # A 503 at once serves a client better than a response after ten seconds of retries.
            retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=2),
        )
    except ValueError as failure:
        hint = "write it like redis://user@host:6379/0, rediss://… or unix://…, without a password"
        raise SettingInvalid(f"{prefix}REDIS_URL is not the URL of a Redis", hint=hint) from failure
    return Redis.from_pool(pool)


@asynccontextmanager
async def redis_for_command(settings: ServiceSettings) -> AsyncGenerator[Redis]:
    """The Redis connection of a command-line command, which has answered a PING before the block runs.

    Failures of Redis inside the block are raised as `RedisUnavailable`, with a hint for the operator. Raises
    `SecretMissing` or `RedisUnavailable`.
    """
    redis = connect_redis(settings)
    try:
        async with asyncio.timeout(_COMMAND_LINE_ANSWER_SECONDS):
            await redis.ping()
        yield redis
    except (RedisError, TimeoutError, ConnectionError) as failure:
        raise explain_failure(settings, failure) from failure
    except SecurityError as failure:
        # The error that a store raises when Redis does not answer is written for clients, who can only try again.
        if isinstance(failure.__cause__, RedisError):
            raise explain_failure(settings, failure.__cause__) from failure
        raise
    finally:
        await redis.aclose()


def explain_failure(settings: ServiceSettings, failure: Exception) -> RedisUnavailable:
    """The failure as an error that names the settings of this service."""
    prefix = settings.model_config.get("env_prefix", "")
    return explain_redis_failure(
        failure, url=settings.redis_url, url_setting=f"{prefix}REDIS_URL", file_setting=f"{prefix}REDIS_PASSWORD_FILE"
    )
