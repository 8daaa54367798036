"""The live watch: one process of all replicas applies the rules to the stream and records what they say.

    stream ──▶ Detector ──▶ alert ──▶ journal.record ──▶ stream (an event of type security_alert, judged like any other)

Whoever holds the lock watches. A successor first reads the last window again without speaking, so that a burst that
spans the change is seen as one, then goes on behind the last entry its predecessor finished. An alert is recorded
before that place moves on: after a crash it may be told twice, never not at all.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from security_common.audit import Journal, JournalUnavailable
from security_common.audit.heartbeats import HEARTBEAT_SECONDS, mark_alerted, missing_journals
from security_common.audit.reading.alerts import Alert, DetectionRule
from security_common.audit.reading.detection import Detector, detection_rules
from security_common.audit.reading.search import StreamEntries, entry_text, parse_entry
from security_common.audit.stream_shipping import STREAM_KEY
from security_common.settings import SecuritySettings, Threshold
from security_common.task_cancellation import cancel_tasks

__all__ = ["live_detection"]

LOCK_KEY = "audit:watch:lock"
PLACE_KEY = "audit:watch:place"
LOCK_SECONDS = 15.0
LOOK_SECONDS = 1.0
ENTRIES = 100  # judged in one go: many more would hold up whoever is being answered

logger = logging.getLogger(__name__)


@asynccontextmanager
async def live_detection(
    redis: Redis,
    journal: Journal,
    settings: SecuritySettings,
    *,
    on_alert: Callable[[Alert], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[None]:
    """Watches, or waits to take over, inside the block.

    `on_alert` is called with each alert that was recorded; `clock` returns seconds since the epoch.
    """
    record = _recorder(journal, on_alert)
    task = asyncio.create_task(_keep_watching(redis, record, settings, clock), name="audit-watch")
    try:
        yield
    finally:
        await cancel_tasks(task)


Record = Callable[[Alert], Awaitable[None]]


def _recorder(journal: Journal, on_alert: Callable[[Alert], None] | None) -> Record:
    async def record(alert: Alert) -> None:
        logger.warning("audit alert: %s, %d", alert.rule, alert.value)
        await journal.record(alert.as_event())
        if on_alert is not None:
            on_alert(alert)

    return record


async def _keep_watching(redis: Redis, record: Record, settings: SecuritySettings, clock: Callable[[], float]) -> None:
    while True:
        try:
            lock = Lock(redis, LOCK_KEY, timeout=LOCK_SECONDS, blocking=False, thread_local=False)
            if await lock.acquire():
                await _watch(redis, record, settings, lock, clock)
        except (RedisError, OSError, JournalUnavailable) as error:
            # LockError, too: somebody else watches by now.
            logger.info("audit watch pauses (%s)", type(error).__name__)
        except Exception:  # a failure that nobody thought of must not end the detection
            logger.exception("audit watch failed, trying again")
        await asyncio.sleep(LOOK_SECONDS)


async def _watch(
    redis: Redis, record: Record, settings: SecuritySettings, lock: Lock, clock: Callable[[], float]
) -> None:
    detector = Detector(detection_rules(settings))
    place = await _place(redis)
    await redis.set(PLACE_KEY, place)
    position = await _look_back(redis, detector, settings, place, clock)
    # After a restart of everything, other processes get as long as the rule allows before they are missed.
    next_roll_call = clock() + settings.detect_journal_quiet_seconds
    try:
        while True:
            await lock.extend(LOCK_SECONDS, replace_ttl=True)
            if clock() >= next_roll_call:
                await _miss_journals(redis, record, settings, clock)
                next_roll_call = clock() + HEARTBEAT_SECONDS
            entries = cast("StreamEntries", await redis.xrange(STREAM_KEY, f"({position}", count=ENTRIES))
            for entry_id, members in entries:
                position = entry_text(entry_id)
                event = parse_entry(members, position)
                for alert in detector.observe(event) if event is not None else ():
                    await record(alert)
            if entries:
                await redis.set(PLACE_KEY, position)
            else:
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await _let_go(lock)


async def _miss_journals(redis: Redis, record: Record, settings: SecuritySettings, clock: Callable[[], float]) -> None:
    """Records an alert for each journal that went quiet without being closed, once."""
    quiet_seconds = settings.detect_journal_quiet_seconds
    for missing in await missing_journals(redis, now_ms=int(clock() * 1000), quiet_seconds=quiet_seconds):
        await record(
            Alert(
                rule=DetectionRule.JOURNAL_QUIET,
                group=f"journal {missing.journal_id}",
                value=missing.lines_missing,
                threshold=Threshold(1, quiet_seconds),
                since=datetime.fromtimestamp(missing.seen_ms / 1000, UTC),
                trigger=None,
            )
        )
        await mark_alerted(redis, missing)


async def _place(redis: Redis) -> str:
    """Behind which entry to go on; the first watch ever begins with what comes next."""
    known = await redis.get(PLACE_KEY)
    if known is not None:
        return entry_text(known)
    newest = cast("StreamEntries", await redis.xrevrange(STREAM_KEY, count=1))
    return entry_text(newest[0][0]) if newest else "0-0"


async def _look_back(
    redis: Redis, detector: Detector, settings: SecuritySettings, place: str, clock: Callable[[], float]
) -> str:
    """Fills the windows from the entries that were judged already."""
    longest_seconds = max(rule.threshold.seconds for rule in detection_rules(settings))
    position = f"{int((clock() - longest_seconds) * 1000)}-0"
    while True:
        entries = cast("StreamEntries", await redis.xrange(STREAM_KEY, f"({position}", place, count=ENTRIES))
        for entry_id, members in entries:
            position = entry_text(entry_id)
            if (event := parse_entry(members, position)) is not None:
                detector.observe(event)
        if len(entries) < ENTRIES:
            return place


async def _let_go(lock: Lock) -> None:
    try:
        await lock.release()
    except (LockError, RedisError, OSError):
        logger.debug("audit watch: the lock runs out by itself")
