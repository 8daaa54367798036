"""The journal of one process: it records an event and returns when the event is on disk.

    record(event)
      │  draft_line        JSON of the event (journal_line)
      ▼
    GroupCommit.submit     the writer thread seals the line, writes it and syncs it (group_commit)
      │
      ├─▶ Receipt                 the event is on disk: the result of the operation may be sent
      └─▶ JournalUnavailable      it is not certain that the event is on disk: the result must not be sent

Everything else, such as shipping to Redis, runs in background tasks. `record` does not wait for them.
"""

import asyncio
import concurrent.futures
import logging
import os
import time
from collections.abc import Callable
from datetime import datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.audit.actions import Action
from security_common.audit.background_tasks import DISK_CHECK_SECONDS, BackgroundTasks
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.group_commit import GroupCommit, JournalUnavailable, PendingEvent, Receipt
from security_common.audit.journal_line import ChainHead, draft_line, uuid7
from security_common.audit.journal_options import JournalOptions
from security_common.audit.journal_slot import Recovery, Slot, recover
from security_common.audit.journal_statistics import JournalStatistics
from security_common.audit.stream_shipping import shipped_through
from security_common.settings import SecuritySettings

__all__ = ["Journal", "open_journal"]

REDIS_AT_START_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Journal:
    """The audit journal of one process, created by `open_journal`. Call `start` before the first event, `stop` last.

    `statistics` are for metrics.
    """

    def __init__(
        self,
        options: JournalOptions,
        redis: Redis | None,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.statistics = JournalStatistics()
        self._options = options
        self._redis = redis
        self._clock_ns = clock_ns
        self._random_bytes = random_bytes
        self._slot: Slot | None = None
        self._commit: GroupCommit | None = None
        self._background: BackgroundTasks | None = None

    @property
    def writable(self) -> bool:
        """Whether the next event is expected to reach the disk."""
        return self._commit is not None and self._commit.healthy

    async def record(self, event: AuditEvent) -> Receipt:
        """Returns when the event is on disk. Raises JournalUnavailable: then the result must not be sent."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._submit(event, future, loop)
        return await future

    def record_blocking(self, event: AuditEvent) -> Receipt:
        """The same for synchronous callers: blocks this thread until the event is on disk."""
        future: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
        self._submit(event, future, None)
        return future.result()

    async def start(self) -> None:
        """Locks a slot, recovers its journal, and starts to write and ship. Raises OSError and JournalUnavailable."""
        slot = await asyncio.to_thread(Slot.claim, self._options.directory)
        self._slot = slot
        recovery = await asyncio.to_thread(recover, slot, self._options.chain_key)
        head, action = await self._choose_head(slot, recovery)
        background = BackgroundTasks(
            self._options, self._redis, slot, record=self.record, clock_ns=self._clock_ns, statistics=self.statistics
        )
        commit = GroupCommit(
            slot,
            head,
            recovery.live_bytes if head is recovery.head else 0,  # a new journal begins with an empty segment
            chain_key=self._options.chain_key,
            segment_bytes=self._options.segment_bytes,
            on_commit=background.notify_of_commit,
        )
        self._commit = commit
        commit.start()
        await self.record(AuditEvent(event_type=EventType.JOURNAL_OPENED, action_taken=action, outcome=Outcome.SUCCESS))
        self._background = background
        background.start(commit, check_disk=self._check_disk)

    async def stop(self) -> None:
        """Commits pending events, signs a checkpoint, ships for at most two seconds, and unlocks the slot."""
        commit = self._commit
        self._commit = None
        if commit is None or self._slot is None:
            return
        await asyncio.to_thread(commit.stop)
        if self._background is not None:
            await self._background.stop(commit.head)
        self._slot.release()

    async def apply_retention(self, *, now: datetime) -> None:
        """Trims the stream and removes segments that are past retention. Raises redis.RedisError."""
        if self._background is not None:
            await self._background.apply_retention(now=now)

    def _submit(
        self,
        event: AuditEvent,
        future: "asyncio.Future[Receipt] | concurrent.futures.Future[Receipt]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        if self._commit is None:
            raise JournalUnavailable("the audit journal is not open", hint="call start() before the first event")
        time_ns = self._clock_ns()
        event_id = uuid7(time_ns // 1_000_000, self._random_bytes(10))
        draft = draft_line(event, service=self._options.service, time_ns=time_ns, event_id=event_id)
        self._commit.submit(PendingEvent(draft, event_id, future, loop))
        self.statistics.count(event)

    async def _choose_head(self, slot: Slot, recovery: Recovery) -> tuple[ChainHead, Action]:
        """The line to continue from, and the action of the event that records the start.

        A journal that ends before what the stream has (a restored volume, a disk that did not sync) must not be
        continued: its next lines would have numbers that the stream already has. It is replaced by a new journal. If
        Redis does not answer at the start, only a torn tail shows that lines may be lost. A restored volume has none,
        so it is not detected then, and its journal is continued.
        """
        if recovery.other_key:
            logger.error("audit_journal_replaced slot=%s cause=it was written with another chain key", slot.directory)
            slot.close_live_segment()
            return self._new_head(), Action.REPLACED
        head = recovery.head
        if head is None:
            return self._new_head(), Action.OPENED
        continued = Action.CONTINUED if recovery.torn_bytes == 0 else Action.RECOVERED
        shipped = await self._shipped_through(head.journal_id)
        can_continue = recovery.torn_bytes == 0 if shipped is None else shipped <= head.seq
        if can_continue:
            return head, continued
        logger.error(
            "audit_journal_replaced journal=%s last_seq=%d shipped=%s "
            "cause=lines that the stream already has may be missing from it",
            head.journal_id,
            head.seq,
            shipped,
        )
        slot.close_live_segment()
        return self._new_head(), Action.REPLACED

    def _new_head(self) -> ChainHead:
        return ChainHead(uuid7(self._clock_ns() // 1_000_000, self._random_bytes(10)))

    async def _shipped_through(self, journal_id: str) -> int | None:
        """The last line that the stream has; 0 without Redis, None if Redis does not answer in time."""
        if self._redis is None:
            return 0
        try:
            async with asyncio.timeout(REDIS_AT_START_SECONDS):
                return await shipped_through(self._redis, journal_id)
        except (RedisError, OSError, TimeoutError):
            return None

    async def _check_disk(self) -> None:
        """Refuses waiting events if the disk hangs, and finds out when a full disk has space again.

        While the service is not ready it may get no requests, so the journal writes an event of its own to find out.
        """
        commit = self._commit
        if commit is None:
            return
        is_stuck = commit.refuse_if_stuck()
        if is_stuck or commit.healthy or commit.broken:
            return
        event = AuditEvent(
            event_type=EventType.JOURNAL_WRITABLE_AGAIN, action_taken=Action.WRITABLE_AGAIN, outcome=Outcome.SUCCESS
        )
        async with asyncio.timeout(DISK_CHECK_SECONDS):
            await self.record(event)


def open_journal(*, service: str, settings: SecuritySettings, redis: Redis | None) -> Journal:
    """Creates the journal of this process below `settings.audit_dir/service`. Without Redis nothing is shipped.

    Raises ChainKeyInvalid and CheckpointKeyInvalid.
    """
    return Journal(JournalOptions.from_settings(settings, service=service), redis)
