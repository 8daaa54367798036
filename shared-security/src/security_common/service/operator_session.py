"""What an operator's command that changes something runs in: the audit journal, and the Redis of the service."""

import getpass
import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from redis.asyncio import Redis

from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome, open_journal
from security_common.service.redis_connection import connect_redis, redis_for_command
from security_common.service.settings import ServiceSettings

__all__ = ["OperatorJournal", "OperatorSession", "operator_journal", "operator_session"]

Settings = TypeVar("Settings", bound=ServiceSettings)


@dataclass(frozen=True, kw_only=True)
class OperatorJournal:
    """The journal of one command, and who runs it (`account@host`)."""

    journal: Journal
    source_address: str
    trace_id: str

    async def record(
        self, action: Action, *, client_id: str | None = None, user_id: str | None = None, reason: str | None = None
    ) -> None:
        """Records what was done, and to which client, account or key (`reason`). Raises `JournalUnavailable`."""
        await self.journal.record(
            AuditEvent(
                event_type=EventType.OPERATOR_CHANGE,
                action_taken=action,
                outcome=Outcome.SUCCESS,
                client_id=client_id,
                user_id=user_id,
                reason=reason,
                source_address=self.source_address,
                trace_id=self.trace_id,
            )
        )


@dataclass(frozen=True, kw_only=True)
class OperatorSession(OperatorJournal, Generic[Settings]):
    """The settings, the Redis and the journal of one command, and who runs it."""

    settings: Settings
    redis: Redis


@asynccontextmanager
async def operator_journal(settings: ServiceSettings, *, service: str) -> AsyncGenerator[OperatorJournal]:
    """Opens a journal of `service`, and closes it. Redis may be unreachable: the journal is on the local disk.

    Raises `SecretMissing` with a hint, `OSError` and `JournalUnavailable`.
    """
    trail_redis = connect_redis(settings, decode=False)
    journal = open_journal(service=service, settings=settings.security, redis=trail_redis)
    try:
        await journal.start()
        yield OperatorJournal(
            journal=journal, source_address=f"{_account_name()}@{socket.gethostname()}", trace_id=secrets.token_hex(16)
        )
    finally:
        await journal.stop()
        await trail_redis.aclose()


@asynccontextmanager
async def operator_session(settings: Settings, *, service: str) -> AsyncGenerator[OperatorSession[Settings]]:
    """Connects to Redis and opens a journal of `service`; closes both.

    The journal is opened first, so that no change is started while it cannot be written. Raises `SecretMissing` or
    `RedisUnavailable` with a hint, `OSError` and `JournalUnavailable`.
    """
    async with redis_for_command(settings) as redis, operator_journal(settings, service=service) as opened:
        yield OperatorSession(
            settings=settings,
            redis=redis,
            journal=opened.journal,
            source_address=opened.source_address,
            trace_id=opened.trace_id,
        )


def _account_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        return f"uid-{os.getuid()}"
