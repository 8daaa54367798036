"""What the commands of an operator run in: the service's settings, its Redis and, for changes, the audit journal."""

import asyncio
import getpass
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis

from auth_service.audit_recorder import AuditRecorder
from auth_service.settings import SERVICE, AuthSettings
from security_common.audit import Action, EventType, open_journal
from security_common.service import connect_redis, redis_for_command

__all__ = ["Operator", "run_audited_change", "run_with_redis"]

_Result = TypeVar("_Result")


def run_with_redis(work: Callable[[AuthSettings, Redis], Awaitable[_Result]]) -> _Result:
    """Runs `work` with the settings and the Redis of the service, and closes the connection.

    Raises `SecretMissing` or `RedisUnavailable` with a hint, and the errors of `work`.
    """

    async def run() -> _Result:
        settings = AuthSettings()
        async with redis_for_command(settings) as redis:
            return await work(settings, redis)

    return asyncio.run(run())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The person who runs a command that changes something. Its source address in the audit trail is `account@host`."""

    settings: AuthSettings
    redis: Redis
    recorder: AuditRecorder
    source_address: str
    trace_id: str

    async def record(
        self, action: Action, *, client_id: str | None = None, user_id: str | None = None, reason: str | None = None
    ) -> None:
        """Records what was done, and the client, account or key (`reason`) it was done to.

        Raises `JournalUnavailable`.
        """
        await self.recorder(
            self,
            event_type=EventType.OPERATOR_CHANGE,
            action=action,
            client_id=client_id,
            user_id=user_id,
            reason=reason,
        )


def run_audited_change(work: Callable[[Operator], Awaitable[_Result]]) -> _Result:
    """As `run_with_redis`, with the journal open first: a change that cannot be recorded is not made."""

    async def run(settings: AuthSettings, redis: Redis) -> _Result:
        trail_redis = connect_redis(settings, decode=False)
        journal = open_journal(service=SERVICE, settings=settings.security, redis=trail_redis)
        try:
            await journal.start()
            operator = Operator(
                settings=settings,
                redis=redis,
                recorder=AuditRecorder(journal, clock=time.time),
                source_address=f"{_account_name()}@{socket.gethostname()}",
                trace_id=secrets.token_hex(16),
            )
            return await work(operator)
        finally:
            await journal.stop()
            await trail_redis.aclose()

    return run_with_redis(run)


def _account_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        return f"uid-{os.getuid()}"
