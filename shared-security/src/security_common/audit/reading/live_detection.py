"""Live detection: one process of all replicas applies the rules to the stream and records their alerts.

    stream ──▶ Detector ──▶ Alert ──▶ journal.record ──▶ stream (an event like any other, of type security_alert)

The process that has the lock does this. When another process takes over, it first reads the last window again without
reporting alerts, so that a burst during the change is detected once. Then it continues after the last entry that its
predecessor has finished. An alert is recorded before that position is stored: after a crash it may be recorded twice,
but it is never lost.
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
from security_common.audit.reading.search import StreamEntries, parse_entry
from security_common.audit.stream_shipping import STREAM_KEY, redis_text
from security_common.settings import SecuritySettings, Threshold
from security_common.task_cancellation import cancel_tasks

__all__ = ["live_detection"]

# Replicas of an earlier release, which may still run, use the same keys.
LOCK_KEY = "audit:watch:lock"
POSITION_KEY = "audit:watch:place"
LOCK_SECONDS = 15.0
POLL_SECONDS = 1.0
ENTRIES_AT_ONCE = 100
"""More entries at once would block the event loop for too long."""

logger = logging.getLogger(__name__)

RecordAlert = Callable[[Alert], Awaitable[None]]


@asynccontextmanager
async def live_detection(
    redis: Redis,
    journal: Journal,
    settings: SecuritySettings,
    *,
    on_alert: Callable[[Alert], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[None]:
    """Detects, or waits to take over from another process, as long as the block runs.

    `on_alert` is called with each recorded alert; `clock` returns seconds since the epoch.
    """

    async def record(alert: Alert) -> None:
        logger.warning("audit_alert rule=%s value=%d", alert.rule, alert.value)
        await journal.record(alert.as_event())
        if on_alert is not None:
            on_alert(alert)

    task = asyncio.create_task(_keep_detecting(redis, record, settings, clock), name="audit-detection")
    try:
        yield
    finally:
        await cancel_tasks(task)


async def _keep_detecting(
    redis: Redis, record: RecordAlert, settings: SecuritySettings, clock: Callable[[], float]
) -> None:
    while True:
        try:
            lock = Lock(redis, LOCK_KEY, timeout=LOCK_SECONDS, blocking=False, thread_local=False)
            if await lock.acquire():
                await _detect(redis, record, settings, lock, clock)
        except (RedisError, OSError, JournalUnavailable) as error:
            # This includes LockError: another process has the lock now.
            logger.info("audit_detection_paused cause=%s", type(error).__name__)
        except Exception:
            # An unexpected error must not end the detection.
            logger.exception("audit_detection_failed")
        await asyncio.sleep(POLL_SECONDS)


async def _detect(
    redis: Redis, record: RecordAlert, settings: SecuritySettings, lock: Lock, clock: Callable[[], float]
) -> None:
    """Processes entries until the lock is lost. Raises LockError, RedisError and JournalUnavailable."""
    detector = Detector(detection_rules(settings))
    position = await _read_position(redis)
    await redis.set(POSITION_KEY, position)
    await _fill_windows(redis, detector, settings, position, clock)
    # After a restart of all processes, each gets as much time to report as the rule allows.
    next_heartbeat_check = clock() + settings.detect_journal_quiet_seconds
    try:
        while True:
            await lock.extend(LOCK_SECONDS, replace_ttl=True)
            if clock() >= next_heartbeat_check:
                await _alert_of_missing_journals(redis, record, settings, clock)
                next_heartbeat_check = clock() + HEARTBEAT_SECONDS
            entries = cast("StreamEntries", await redis.xrange(STREAM_KEY, f"({position}", count=ENTRIES_AT_ONCE))
            for entry_id, members in entries:
                position = redis_text(entry_id)
                event = parse_entry(members, position)
                if event is None:
                    continue
                for alert in detector.observe(event):
                    await record(alert)
            if entries:
                await redis.set(POSITION_KEY, position)
            else:
                await asyncio.sleep(POLL_SECONDS)
    finally:
        await _release(lock)


async def _alert_of_missing_journals(
    redis: Redis, record: RecordAlert, settings: SecuritySettings, clock: Callable[[], float]
) -> None:
    """Records one alert for each journal that has stopped reporting without being closed."""
    quiet_seconds = settings.detect_journal_quiet_seconds
    for missing in await missing_journals(redis, now_ms=int(clock() * 1000), quiet_seconds=quiet_seconds):
        alert = Alert(
            rule=DetectionRule.JOURNAL_QUIET,
            group=f"journal {missing.journal_id}",
            value=missing.lines_missing,
            threshold=Threshold(1, quiet_seconds),
            since=datetime.fromtimestamp(missing.seen_ms / 1000, UTC),
            trigger=None,
        )
        await record(alert)
        await mark_alerted(redis, missing)


async def _read_position(redis: Redis) -> str:
    """The id of the last processed entry. Without one, detection begins with the next new entry."""
    stored = await redis.get(POSITION_KEY)
    if stored is not None:
        return redis_text(stored)
    newest = cast("StreamEntries", await redis.xrevrange(STREAM_KEY, count=1))
    return redis_text(newest[0][0]) if newest else "0-0"


async def _fill_windows(
    redis: Redis, detector: Detector, settings: SecuritySettings, position: str, clock: Callable[[], float]
) -> None:
    """Fills the windows of the rules with the entries that were processed before."""
    longest_seconds = max(rule.threshold.seconds for rule in detection_rules(settings))
    after = f"{int((clock() - longest_seconds) * 1000)}-0"
    while True:
        found = await redis.xrange(STREAM_KEY, f"({after}", position, count=ENTRIES_AT_ONCE)
        entries = cast("StreamEntries", found)
        for entry_id, members in entries:
            after = redis_text(entry_id)
            event = parse_entry(members, after)
            if event is not None:
                detector.observe(event)
        if len(entries) < ENTRIES_AT_ONCE:
            return


async def _release(lock: Lock) -> None:
    try:
        await lock.release()
    except (LockError, RedisError, OSError):
        logger.debug("audit_detection_lock_not_released: it expires by itself")
