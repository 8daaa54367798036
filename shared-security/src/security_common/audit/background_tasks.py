"""The background tasks of a journal. Recording does not wait for them, and a failure is retried at the next interval.

| task | interval |
|---|---|
| ship new lines to the stream | 50 ms after a commit |
| check the disk | 1 s |
| write a heartbeat | 5 s |
| ship idle journals | 10 s |
| trim the stream to its memory limit | 60 s |
| sign a checkpoint | SECURITY_AUDIT_CHECKPOINT_MINUTES |
| apply retention to the stream and the segments | 1 h |
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from security_common.audit.chain_key import chain_key_id
from security_common.audit.checkpoints import Checkpoints
from security_common.audit.event import AuditEvent
from security_common.audit.group_commit import GroupCommit, JournalUnavailable, Receipt
from security_common.audit.heartbeats import HEARTBEAT_SECONDS, Heartbeat, write_heartbeat
from security_common.audit.idle_journals import IdleJournals
from security_common.audit.journal_line import ChainHead
from security_common.audit.journal_options import JournalOptions
from security_common.audit.journal_slot import Slot
from security_common.audit.journal_statistics import JournalStatistics
from security_common.audit.segment_files import slots_of
from security_common.audit.segment_retention import removable_segments, removals_recorded_in
from security_common.audit.stream_shipping import Shipper
from security_common.audit.stream_trimming import StreamLimit, trim_stream
from security_common.task_cancellation import cancel_tasks

__all__ = ["DISK_CHECK_SECONDS", "BackgroundTasks"]

DISK_CHECK_SECONDS = 1.0
RETRY_SECONDS = 1.0
COLLECT_SECONDS = 0.05
LAST_SHIPPING_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Runs `first_seconds` after the start, then every `interval_seconds`. `name` is for the log."""

    name: str
    interval_seconds: float
    run: Callable[[], Awaitable[None]]
    first_seconds: float = 0.0


class BackgroundTasks:
    """The tasks of one journal. Created before the journal's writer, started after it."""

    def __init__(
        self,
        options: JournalOptions,
        redis: Redis | None,
        slot: Slot,
        *,
        record: Callable[[AuditEvent], Awaitable[Receipt]],
        clock_ns: Callable[[], int],
        statistics: JournalStatistics,
    ) -> None:
        self._options = options
        self._redis = redis
        self._slot = slot
        self._record = record
        self._clock_ns = clock_ns
        self._statistics = statistics
        self._stream_limit = StreamLimit(redis, options.stream_max_bytes) if redis is not None else None
        self._checkpoints = self._open_checkpoints()
        self._committed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []

    def notify_of_commit(self) -> None:
        """Starts shipping. Called by the writer thread after each commit."""
        try:
            self._loop.call_soon_threadsafe(self._committed.set)
        except RuntimeError:
            logger.debug("audit_journal_event_loop_gone")

    def start(self, commit: GroupCommit, *, check_disk: Callable[[], Awaitable[None]]) -> None:
        # The disk is checked by a task of its own, so that no other task can delay it.
        disk_check = PeriodicTask("check_disk", DISK_CHECK_SECONDS, check_disk)
        for periodic in ([disk_check], self._periodic_tasks(commit)):
            self._tasks.append(asyncio.create_task(run_periodically(periodic), name="audit-periodic"))
        if self._redis is not None:
            shipper = self._shipper(self._redis, commit.head.journal_id, lambda: commit.head.seq)
            shipping = self._keep_shipping(shipper, commit)
            self._tasks.append(asyncio.create_task(shipping, name="audit-shipping"))

    async def stop(self, head: ChainHead) -> None:
        """Cancels the tasks, signs a last checkpoint, ships the remaining lines and reports the journal as closed."""
        await cancel_tasks(*self._tasks)
        self._tasks.clear()
        try:
            async with asyncio.timeout(LAST_SHIPPING_SECONDS):
                if self._checkpoints is not None:
                    await self._checkpoints.write(head)
                if self._redis is not None:
                    with self._shipper(self._redis, head.journal_id, lambda: head.seq) as shipper:
                        await shipper.ship()
                    await write_heartbeat(self._redis, replace(self._heartbeat(head), state="closed"))
        except (RedisError, OSError, TimeoutError):
            logger.warning("audit_journal_not_shipped: the remaining events are shipped after the next start")

    async def apply_retention(self, *, now: datetime) -> None:
        """Trims the stream and removes segments past retention, also those of idle slots. Raises redis.RedisError."""
        if self._redis is None:
            return
        await trim_stream(self._redis, keep=self._options.keep_in_stream, now=now)
        await self._remove_segments(self._redis, self._slot.directory, now)
        for directory in slots_of(self._options.directory):
            if directory == self._slot.directory:
                continue
            # One lock at a time: no two processes record the same removal, and a start finds the other slots free.
            idle_slot = Slot.claim_idle(directory)
            if idle_slot is None:
                continue
            try:
                await self._remove_segments(self._redis, directory, now)
            finally:
                idle_slot.release()

    async def _remove_segments(self, redis: Redis, directory: Path, now: datetime) -> None:
        for segment in await removable_segments(redis, directory, keep=self._options.keep, now=now):
            recorded_again = await asyncio.to_thread(removals_recorded_in, segment)
            for removal in [*recorded_again, segment.removal]:
                await self._record(removal.as_event())
            segment.path.unlink()

    def _periodic_tasks(self, commit: GroupCommit) -> list[PeriodicTask]:
        tasks: list[PeriodicTask] = []
        checkpoints, redis, limit = self._checkpoints, self._redis, self._stream_limit
        if checkpoints is not None:
            interval = self._options.checkpoint_seconds

            async def sign_checkpoint() -> None:
                await checkpoints.write(commit.head)
                self._statistics.note_checkpoint()

            tasks.append(PeriodicTask("sign_checkpoint", interval, sign_checkpoint, first_seconds=interval))
        if redis is None or limit is None:
            return tasks
        idle_journals = IdleJournals(
            redis, self._options.directory, self._options.chain_key, self._slot.directory, on_shipped=limit.count
        )

        async def ship_idle_journals() -> None:
            await idle_journals.ship(own_journal_id=commit.head.journal_id)

        async def report_heartbeat() -> None:
            await write_heartbeat(redis, self._heartbeat(commit.head))

        async def limit_stream() -> None:
            await limit.trim()

        async def retain() -> None:
            await self.apply_retention(now=datetime.fromtimestamp(self._clock_ns() / 1e9, UTC))

        return [
            *tasks,
            PeriodicTask("ship_idle_journals", 10.0, ship_idle_journals),
            PeriodicTask("report_heartbeat", HEARTBEAT_SECONDS, report_heartbeat),
            PeriodicTask("limit_stream", 60.0, limit_stream),
            PeriodicTask("apply_retention", 3600.0, retain, first_seconds=60.0),
        ]

    async def _keep_shipping(self, shipper: Shipper, commit: GroupCommit) -> None:
        last_shipping_failed = False
        with shipper:
            while True:
                # Several commits are shipped together: each batch costs a sync of Redis, perhaps on the same disk.
                await asyncio.sleep(COLLECT_SECONDS)
                self._committed.clear()
                last_shipping_failed = not await self._ship(shipper, last_shipping_failed=last_shipping_failed)
                self._statistics.note_shipping(max(0, commit.head.seq - shipper.cursor) if last_shipping_failed else 0)
                if last_shipping_failed:
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    await self._wait_for_commit()

    async def _wait_for_commit(self) -> None:
        """Returns after a second even without a commit: the stream may have been deleted meanwhile."""
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._committed.wait()
        except TimeoutError:
            return

    async def _ship(self, shipper: Shipper, *, last_shipping_failed: bool) -> bool:
        """Whether everything was shipped. A failure is logged once."""
        try:
            await shipper.ship()
        except (RedisError, OSError) as error:
            if not last_shipping_failed:
                cause = "out of memory" if isinstance(error, OutOfMemoryError) else type(error).__name__
                logger.warning("audit_shipping_paused cause=%s: events are kept in the journal", cause)
            return False
        except Exception:
            # The events are on disk, and shipping has to continue after any error.
            logger.exception("audit_shipping_failed")
            return False
        if last_shipping_failed:
            logger.info("audit_shipping_resumed shipped_through=%d", shipper.cursor)
        return True

    def _shipper(self, redis: Redis, journal_id: str, last_on_disk: Callable[[], int]) -> Shipper:
        limit = self._stream_limit
        return Shipper(
            redis,
            self._slot.directory,
            journal_id,
            last_on_disk,
            on_shipped=limit.count if limit else None,
            on_full=limit.trim if limit else None,
        )

    def _heartbeat(self, head: ChainHead) -> Heartbeat:
        return Heartbeat(head.journal_id, self._options.service, head.seq, self._clock_ns() // 1_000_000)

    def _open_checkpoints(self) -> Checkpoints | None:
        options = self._options
        if options.checkpoint_key is None:
            logger.warning("audit_checkpoints_off cause=SECURITY_AUDIT_CHECKPOINT_KEY_FILE is not set")
            return None
        directory = self._slot.directory
        if options.checkpoint_directory is not None:
            directory = options.checkpoint_directory / options.service / self._slot.directory.name
        return Checkpoints(
            service=options.service,
            key=options.checkpoint_key,
            chain_key_id=chain_key_id(options.chain_key),
            directory=directory,
            redis=self._redis,
            clock_ns=self._clock_ns,
        )


async def run_periodically(tasks: Sequence[PeriodicTask]) -> None:
    """Runs the tasks one after the other, each at its interval, until it is cancelled."""
    started_at = time.monotonic()
    due_at = {task.name: started_at + task.first_seconds for task in tasks}
    while True:
        for task in tasks:
            if time.monotonic() < due_at[task.name]:
                continue
            try:
                await task.run()
            except (RedisError, OSError, JournalUnavailable) as error:
                logger.info("audit_task_postponed task=%s cause=%s", task.name, type(error).__name__)
            except Exception:
                # An unexpected error of one task must not stop the others.
                logger.exception("audit_task_failed task=%s", task.name)
            due_at[task.name] = time.monotonic() + task.interval_seconds
        if not due_at:
            return
        await asyncio.sleep(max(0.0, min(due_at.values()) - time.monotonic()))
