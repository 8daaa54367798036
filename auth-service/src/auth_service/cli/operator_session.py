"""What the commands of an operator run in: the service's settings, its Redis and, for changes, the audit journal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from redis.asyncio import Redis

from auth_service.settings import SERVICE, AuthSettings
from security_common.service import OperatorSession, operator_session, redis_for_command

__all__ = ["Operator", "run_audited_change", "run_with_redis"]

_Result = TypeVar("_Result")

Operator: TypeAlias = OperatorSession[AuthSettings]


def run_with_redis(work: Callable[[AuthSettings, Redis], Awaitable[_Result]]) -> _Result:
    """Runs `work` with the settings and the Redis of the service, and closes the connection.

    Raises `SecretMissing` or `RedisUnavailable` with a hint, and the errors of `work`.
    """

    async def run() -> _Result:
        settings = AuthSettings()
        async with redis_for_command(settings) as redis:
            return await work(settings, redis)

    return asyncio.run(run())


def run_audited_change(work: Callable[[Operator], Awaitable[_Result]]) -> _Result:
    """Runs `work` in an operator session, see `operator_session`. Raises also the errors of `work`."""

    async def run() -> _Result:
        async with operator_session(AuthSettings(), service=SERVICE) as operator:
            return await work(operator)

    return asyncio.run(run())
