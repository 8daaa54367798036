"""What the commands share: settings, Redis, the record, and printing for people or for programs."""

import asyncio
import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from redis.asyncio import Redis

from auth_service.audit_recorder import AuditRecorder
from auth_service.settings import SERVICE, AuthSettings
from security_common.audit import Action, EventType, open_journal
from security_common.service import connect_redis, redis_for_command

__all__ = ["Json", "Operator", "as_time", "change", "print_rows", "run"]

# Every command that prints a result takes it.
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]

_Result = TypeVar("_Result")


def run(work: Callable[[AuthSettings, Redis], Awaitable[_Result]]) -> _Result:
    """Does the work with the service's own settings and Redis, and closes the connection.

    Raises `SecretMissing` or `RedisUnavailable` with a hint, and what the work raises.
    """

    async def do() -> _Result:
        settings = AuthSettings()
        async with redis_for_command(settings) as redis:
            return await work(settings, redis)

    return asyncio.run(do())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Whoever runs a command that changes something; an `Origin`, whose address is the account and the machine."""

    settings: AuthSettings
    redis: Redis
    recorder: AuditRecorder
    source_address: str
    trace_id: str

    async def record(
        self, action: Action, *, client_id: str | None = None, user_id: str | None = None, reason: str | None = None
    ) -> None:
        """What was done, to which client, account or (`reason`) key. Raises `JournalUnavailable`."""
        await self.recorder(
            self,
            event_type=EventType.OPERATOR_CHANGE,
            action=action,
            client_id=client_id,
            user_id=user_id,
            reason=reason,
        )


def change(work: Callable[[Operator], Awaitable[_Result]]) -> _Result:
    """As `run`, with the journal open before anything is done: what cannot go on record is not changed."""

    async def recorded(settings: AuthSettings, redis: Redis) -> _Result:
        trail_redis = connect_redis(settings, decode=False)
        journal = open_journal(service=SERVICE, settings=settings.security, redis=trail_redis)
        try:
            await journal.start()
            return await work(
                Operator(
                    settings=settings,
                    redis=redis,
                    recorder=AuditRecorder(journal, clock=time.time),
                    source_address=f"{_account()}@{socket.gethostname()}",
                    trace_id=secrets.token_hex(16),
                )
            )
        finally:
            await journal.stop()
            await trail_redis.aclose()

    return run(recorded)


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return f"uid-{os.getuid()}"


def as_time(seconds: float) -> str:
    """RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A JSON array, or columns as wide as their widest value."""
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        return
    names = list(rows[0])
    table = [names, *([_printable(str(row[name])) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """Without what a terminal would obey: apps choose their own names."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
