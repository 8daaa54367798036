"""What a journal does beside recording: chores of one task, each with a rhythm of its own.

A chore that fails because Redis is away, or a file cannot be read, is tried again at its next turn; the journal itself
never waits for any of them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from security_common.audit.group_commit import JournalUnavailable

__all__ = ["Chore", "keep_up"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """`first_seconds` after the start, then every `every_seconds`."""

    name: str
    every_seconds: float
    do: Callable[[], Awaitable[None]]
    first_seconds: float = 0.0


async def keep_up(chores: Sequence[Chore]) -> None:
    """Runs the chores until cancelled."""
    due = {chore.name: time.monotonic() + chore.first_seconds for chore in chores}
    while True:
        for chore in chores:
            if time.monotonic() < due[chore.name]:
                continue
            try:
                await chore.do()
            except (RedisError, OSError, JournalUnavailable) as error:
                logger.info("audit journal: %s has to wait (%s)", chore.name, type(error).__name__)
            except Exception:  # one chore that fails in a new way must not end the others
                logger.exception("audit journal: %s failed", chore.name)
            due[chore.name] = time.monotonic() + chore.every_seconds
        await asyncio.sleep(max(0.0, min(due.values()) - time.monotonic()))
