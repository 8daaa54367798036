"""The connection to Redis. Its password comes from a file and never from the URL."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from security_common.redis_errors import RedisUnavailable, explain_redis_failure, explaining_redis_failures
from security_common.secret_files import read_secret
from security_common.service.redis_circuit_breaker import CircuitBreaker, CircuitBreakerPool
from security_common.service.redis_sentinel import SentinelPool, is_sentinel_url, parse_sentinel_url
from security_common.service.settings import ServiceSettings
from security_common.setting_names import variable_name
from security_common.settings import SettingInvalid

__all__ = ["connect_redis", "explain_failure", "redis_for_command"]

# Below the two seconds within which a request must be answered, and the 1.5 seconds of a readiness check.
_DEADLINE_SECONDS = 1.2
# Commands that run at the same time. Further ones wait for a connection: the default pool of redis-py would refuse
# them at once, so that a burst of requests from one client made the requests of all others fail.
_CONNECTIONS = 100
_COMMAND_LINE_ANSWER_SECONDS = 2.0
# Sentinels are queried one after the other within the deadline of a command.
_SENTINEL_SECONDS = 0.4


def connect_redis(settings: ServiceSettings, *, decode: bool = True) -> Redis:
    """A client with a connection pool that connects when it is first used. It returns str if `decode`, else bytes.

    A command that Redis does not answer within 1.2 seconds raises `redis.exceptions.TimeoutError`. While Redis hangs,
    further commands raise it at once (`redis_circuit_breaker`). XREAD and WAITAOF have their own wait in addition.

    Raises `SecretMissing` or `SettingInvalid`.
    """
    arguments = {
        "circuit": CircuitBreaker(deadline_seconds=_DEADLINE_SECONDS),
        "waits_for_replica": settings.redis_durability == "replica",
        "max_connections": _CONNECTIONS,
        "timeout": _DEADLINE_SECONDS,
        "password": _read_password(settings, "redis_password_file"),
        "decode_responses": decode,
        "health_check_interval": 15,
        # Only for connections that Redis has closed, for example because it was restarted. A command that was not
        # answered in time is not repeated.
        "retry": Retry(ExponentialBackoff(base=0.05, cap=0.2), 2, supported_errors=(RedisConnectionError,)),
    }
    url = settings.redis_url
    try:
        if not is_sentinel_url(url):
            tls = _tls_arguments(settings) if url.startswith("rediss://") else {}
            return Redis.from_pool(CircuitBreakerPool.from_url(url, **arguments, **tls))
        sentinel_url = parse_sentinel_url(url)
    except ValueError as failure:
        hint = (
            "write it like redis://user@host:6379/0, rediss://…, unix://… or "
            "redis+sentinel://user@sentinel-1:26379,sentinel-2:26379/service/0, without a password"
        )
        raise SettingInvalid(
            f"{variable_name(settings, 'redis_url')} is not the URL of a Redis", hint=hint
        ) from failure
    tls = _tls_arguments(settings) if sentinel_url.uses_tls else {}
    sentinel_arguments = {
        "password": _read_password(settings, "redis_sentinel_password_file"),
        "socket_timeout": _SENTINEL_SECONDS,
        "socket_connect_timeout": _SENTINEL_SECONDS,
        **tls,
    }
    pool = SentinelPool(sentinel_url, sentinel_arguments=sentinel_arguments, **arguments, **tls)
    # The pool belongs to the client, as with a URL.
    return Redis.from_pool(pool)


def _read_password(settings: ServiceSettings, name: str) -> str | None:
    """The password in the file that this setting names; None if it is not set. Raises `SecretMissing`."""
    file: Path | None = getattr(settings, name)
    return read_secret(file, variable_name(settings, name)).decode() if file else None


def _tls_arguments(settings: ServiceSettings) -> dict[str, str]:
    """The certificates for `rediss://`. Raises `SettingInvalid` if a file cannot be read."""
    names = {
        "ssl_ca_certs": "redis_ca_file",
        "ssl_certfile": "redis_client_certificate_file",
        "ssl_keyfile": "redis_client_key_file",
    }
    arguments: dict[str, str] = {}
    for argument, name in names.items():
        file: Path | None = getattr(settings, name)
        if file is None:
            continue
        if not os.access(file, os.R_OK):
            raise SettingInvalid(
                f"{variable_name(settings, name)}: {file} cannot be read", hint="check its permissions"
            )
        arguments[argument] = str(file)
    return arguments


@asynccontextmanager
async def redis_for_command(settings: ServiceSettings) -> AsyncGenerator[Redis]:
    """The Redis connection of a command-line command, which has answered a PING before the block runs.

    Failures of Redis inside the block are raised as `RedisUnavailable`, with a hint for the operator. Raises
    `SecretMissing` or `RedisUnavailable`.
    """
    redis = connect_redis(settings)
    try:
        with explaining_redis_failures(**_address_of(settings)):
            async with asyncio.timeout(_COMMAND_LINE_ANSWER_SECONDS):
                await redis.ping()
            yield redis
    finally:
        await redis.aclose()


def explain_failure(settings: ServiceSettings, failure: Exception) -> RedisUnavailable:
    """The failure as an error that names the settings of this service."""
    return explain_redis_failure(failure, **_address_of(settings))


class _Address(TypedDict):
    url: str
    url_setting: str
    file_setting: str


def _address_of(settings: ServiceSettings) -> _Address:
    """The URL, and the names of its settings, for messages."""
    return {
        "url": settings.redis_url,
        "url_setting": variable_name(settings, "redis_url"),
        "file_setting": variable_name(settings, "redis_password_file"),
    }
