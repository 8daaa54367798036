"""The journal a service holds: record an event, know that it is on disk, and let it travel to the stream."""

import asyncio
import concurrent.futures
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from joserfc.jwk import RSAKey
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from security_common.audit.actions import Action
from security_common.audit.background_tasks import Chore, keep_up
from security_common.audit.chain_key import chain_key, chain_key_id
from security_common.audit.checkpoints import Checkpoints, load_checkpoint_key
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.event_types import EventType
from security_common.audit.group_commit import GroupCommit, JournalUnavailable, PendingEvent, Receipt
from security_common.audit.heartbeats import HEARTBEAT_SECONDS, Heartbeat, write_heartbeat
from security_common.audit.idle_journals import IdleJournals
from security_common.audit.journal_line import ChainHead, draft_line, uuid7
from security_common.audit.journal_slot import LIVE_NAME, Recovery, Slot, recover, slots_of
from security_common.audit.segment_retention import removable, removals_recorded_in
from security_common.audit.stream_shipping import Shipper, shipped_through
from security_common.audit.stream_trimming import StreamLimit, trim_stream
from security_common.settings import SecuritySettings
from security_common.task_cancellation import cancel_tasks

__all__ = ["Journal", "link_audit_log", "open_journal"]

WATCH_SECONDS = 1.0
GATHER_SECONDS = 0.05
START_ANSWER_SECONDS = 2.0
STOP_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """What a journal is told: `directory` is the service's folder, `keep` how long segments and stream must stay.

    `stream_max_bytes` bounds the stream whatever its age.
    """

    service: str
    directory: Path
    chain_key: bytes
    segment_bytes: int
    keep: timedelta
    keep_in_stream: timedelta
    stream_max_bytes: int
    checkpoint_key: RSAKey | None = None
    checkpoint_directory: Path | None = None
    checkpoint_seconds: float = 300.0


class Journal:
    """One process's audit journal. Made by `open_journal`; `start` before the first event, `stop` after the last."""

    def __init__(
        self,
        options: JournalOptions,
        redis: Redis | None,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._options = options
        self._redis = redis
        self._limit = StreamLimit(redis, options.stream_max_bytes) if redis is not None else None
        self._clock_ns = clock_ns
        self._randomness = randomness
        self._slot: Slot | None = None
        self._commit: GroupCommit | None = None
        self._checkpoints: Checkpoints | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._committed = asyncio.Event()

    @property
    def writable(self) -> bool:
        """Whether the next event can be expected to reach the disk."""
        return self._commit is not None and self._commit.healthy

    async def start(self) -> None:
        """Claims a slot, recovers what is there and begins to write and ship. Raises OSError or JournalUnavailable."""
        self._slot = slot = await asyncio.to_thread(Slot.claim, self._options.directory)
        found = await asyncio.to_thread(recover, slot, self._options.chain_key)
        head, story = await self._head_to_go_on_from(slot, found)
        loop = asyncio.get_running_loop()
        self._commit = GroupCommit(
            slot,
            head,
            found.live_bytes if head is found.head else 0,
            chain_key=self._options.chain_key,
            segment_bytes=self._options.segment_bytes,
            on_commit=lambda: _wake(loop, self._committed),
        )
        self._commit.start()
        await self.record(AuditEvent(event_type=EventType.JOURNAL_OPENED, action_taken=story, outcome=Outcome.SUCCESS))
        self._checkpoints = self._checkpoints_in(slot)
        watch = Chore("looking at the disk", WATCH_SECONDS, self._look_at_the_disk)
        for chores in ((watch,), self._chores(slot, self._commit)):
            self._tasks.append(asyncio.create_task(keep_up(chores), name="audit-upkeep"))
        if self._redis is not None:
            shipper = self._shipper(self._redis, slot, head.journal_id, self._last_on_disk)
            self._tasks.append(asyncio.create_task(self._keep_shipping(shipper), name="audit-shipping"))

    async def record(self, event: AuditEvent) -> Receipt:
        """Returns when the event is on disk. Raises JournalUnavailable: then the operation must not be answered."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._submit(event, future, loop)
        return await future

    def record_blocking(self, event: AuditEvent) -> Receipt:
        """`record` for synchronous callers: blocks this thread for one group commit."""
        future: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
        self._submit(event, future, None)
        return future.result()

    async def stop(self) -> None:
        """Commits what is under way, signs where it ended, ships for a moment what is left, and frees the slot."""
        commit, self._commit = self._commit, None
        if commit is None or self._slot is None:
            return
        await asyncio.to_thread(commit.stop)
        await cancel_tasks(*self._tasks)
        self._tasks.clear()
        await self._leave_in_order(self._slot, commit.head)
        self._slot.release()

    def _submit(
        self,
        event: AuditEvent,
        future: "asyncio.Future[Receipt] | concurrent.futures.Future[Receipt]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        if self._commit is None:
            raise JournalUnavailable("the audit journal is not open", hint="call start() before the first event")
        time_ns = self._clock_ns()
        event_id = uuid7(time_ns // 1_000_000, self._randomness(10))
        draft = draft_line(event, service=self._options.service, time_ns=time_ns, event_id=event_id)
        self._commit.submit(PendingEvent(draft, event_id, future, loop))

    async def _head_to_go_on_from(self, slot: Slot, found: Recovery) -> tuple[ChainHead, Action]:
        """Where the chain goes on, and why.

        A journal that ends before what the stream already has (a restored volume, a disk that lied) must not go on:
        its next lines would repeat numbers that the stream takes for known. It gets a successor with an id of its own.
        """
        if found.other_key:
            logger.error("audit journal in %s was written with another chain key, a new one begins", slot.directory)
            slot.close_live_segment()
            return self._new_head(), Action.SUCCEEDED
        if found.head is None:
            return self._new_head(), Action.OPENED
        known = await self._known_to_stream(found.head.journal_id)
        if known is None and found.torn_bytes == 0:
            return found.head, Action.CONTINUED
        if known is not None and known <= found.head.seq:
            return found.head, Action.CONTINUED if found.torn_bytes == 0 else Action.RECOVERED
        logger.error("audit journal %s ends at %d, the stream has %s", found.head.journal_id, found.head.seq, known)
        slot.close_live_segment()
        return self._new_head(), Action.SUCCEEDED

    def _new_head(self) -> ChainHead:
        return ChainHead(uuid7(self._clock_ns() // 1_000_000, self._randomness(10)))

    async def _known_to_stream(self, journal_id: str) -> int | None:
        if self._redis is None:
            return 0
        try:
            async with asyncio.timeout(START_ANSWER_SECONDS):
                return await shipped_through(self._redis, journal_id)
        except (RedisError, OSError, TimeoutError):
            return None

    def _shipper(self, redis: Redis, slot: Slot, journal_id: str, through: Callable[[], int]) -> Shipper:
        limit = self._limit
        return Shipper(
            redis,
            slot.directory,
            journal_id,
            through,
            on_shipped=limit.count if limit else None,
            on_full=limit.trim if limit else None,
        )

    async def _report_presence(self, commit: GroupCommit) -> None:
        if self._redis is not None:
            await write_heartbeat(self._redis, self._presence(commit.head))

    def _presence(self, head: ChainHead) -> Heartbeat:
        return Heartbeat(head.journal_id, self._options.service, head.seq, self._clock_ns() // 1_000_000)

    def _last_on_disk(self) -> int:
        return self._commit.head.seq if self._commit is not None else 0

    async def _look_at_the_disk(self) -> None:
        """Readiness may have turned the traffic away, so the journal itself finds out when the disk has room again."""
        if self._commit is None or self._commit.refuse_if_stuck() or self._commit.healthy or self._commit.broken:
            return
        async with asyncio.timeout(WATCH_SECONDS):
            await self.record(
                AuditEvent(event_type=EventType.JOURNAL_HEALED, action_taken=Action.HEALED, outcome=Outcome.SUCCESS)
            )

    async def _keep_shipping(self, shipper: Shipper) -> None:
        try:
            away = False
            while True:
                # Several commits make one batch: each costs Redis a sync of a disk that the journal may share.
                await asyncio.sleep(GATHER_SECONDS)
                self._committed.clear()
                away = not await self._ship(shipper, was_away=away)
                try:
                    async with asyncio.timeout(WATCH_SECONDS):
                        await (asyncio.sleep(WATCH_SECONDS) if away else self._committed.wait())
                except TimeoutError:
                    continue
        finally:
            shipper.close()

    async def _ship(self, shipper: Shipper, *, was_away: bool) -> bool:
        try:
            await shipper.ship()
        except (RedisError, OSError) as error:
            if not was_away:
                problem = "full" if isinstance(error, OutOfMemoryError) else f"away ({type(error).__name__})"
                logger.warning("Redis is %s: the audit journal keeps its events and ships them later", problem)
            return False
        except Exception:  # whatever it is, the events are on disk and shipping must go on
            logger.exception("audit journal: shipping failed, trying again")
            return False
        if was_away:
            logger.info("audit stream is back, the journal is shipped through %d", shipper.cursor)
        return True

    def _chores(self, slot: Slot, commit: GroupCommit) -> tuple[Chore, ...]:
        redis, every = self._redis, self._options.checkpoint_seconds
        folder, key = self._options.directory, self._options.chain_key
        limit = self._limit
        idle = None
        if redis is not None and limit is not None:
            idle = IdleJournals(redis, folder, key, slot.directory, on_shipped=limit.count)

        async def sign_checkpoint() -> None:
            if self._checkpoints is not None:
                await self._checkpoints.write(commit.head)

        async def ship_idle_journals() -> None:
            if idle is not None:
                await idle.ship(but=commit.head.journal_id)

        async def limit_stream() -> None:
            if limit is not None:
                await limit.trim()

        async def apply_retention() -> None:
            await self.apply_retention(now=datetime.fromtimestamp(self._clock_ns() / 1e9, UTC))

        return (
            Chore("signing a checkpoint", every, sign_checkpoint, first_seconds=every),
            Chore("shipping idle journals", 10.0, ship_idle_journals),
            Chore("reporting that it is there", HEARTBEAT_SECONDS, partial(self._report_presence, commit)),
            Chore("limiting the stream", 60.0, limit_stream),
            Chore("letting go of the old", 3600.0, apply_retention, first_seconds=60.0),
        )

    async def apply_retention(self, *, now: datetime) -> None:
        """Trims the stream and removes segments past retention, those of idle slots too. Raises redis.RedisError."""
        if self._redis is None or self._slot is None:
            return
        await trim_stream(self._redis, keep=self._options.keep_in_stream, now=now)
        await self._remove_segments(self._redis, self._slot.directory, now)
        for directory in slots_of(self._options.directory):
            # One lock at a time: no two processes tell of one removal, and a start finds the other slots free.
            if directory != self._slot.directory and (idle := Slot.claim_idle(directory)) is not None:
                try:
                    await self._remove_segments(self._redis, directory, now)
                finally:
                    idle.release()

    async def _remove_segments(self, redis: Redis, directory: Path, now: datetime) -> None:
        for removal in await removable(redis, directory, keep=self._options.keep, now=now):
            for each in [*await asyncio.to_thread(removals_recorded_in, removal), removal]:
                await self.record(each.as_event())
            removal.path.unlink()

    def _checkpoints_in(self, slot: Slot) -> Checkpoints | None:
        if self._options.checkpoint_key is None:
            logger.warning("audit checkpoints are off: SECURITY_AUDIT_CHECKPOINT_KEY_FILE is not set")
            return None
        kept_in = self._options.checkpoint_directory
        return Checkpoints(
            service=self._options.service,
            key=self._options.checkpoint_key,
            chain_key_id=chain_key_id(self._options.chain_key),
            directory=slot.directory if kept_in is None else kept_in / self._options.service / slot.directory.name,
            redis=self._redis,
            clock_ns=self._clock_ns,
        )

    async def _leave_in_order(self, slot: Slot, head: ChainHead) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if self._checkpoints is not None:
                    await self._checkpoints.write(head)
                if self._redis is not None:
                    shipper = self._shipper(self._redis, slot, head.journal_id, lambda: head.seq)
                    await shipper.ship()
                    shipper.close()
                    await write_heartbeat(self._redis, replace(self._presence(head), state="closed"))
        except (RedisError, OSError, TimeoutError):
            logger.warning("audit journal: events wait on disk for the next start")


def open_journal(*, service: str, settings: SecuritySettings, redis: Redis | None) -> Journal:
    """The journal of this process, below `settings.audit_dir/service`; without Redis it stays local."""
    signing_key = settings.audit_checkpoint_key_file
    keep_days = settings.audit_retention_days
    options = JournalOptions(
        service=service,
        directory=settings.audit_dir / service,
        chain_key=chain_key(settings, service=service),
        segment_bytes=settings.audit_segment_bytes,
        keep=timedelta(days=keep_days),
        keep_in_stream=timedelta(days=settings.audit_stream_days or keep_days),
        stream_max_bytes=settings.audit_stream_max_bytes,
        checkpoint_key=load_checkpoint_key(signing_key, signs=True) if signing_key else None,
        checkpoint_directory=settings.audit_checkpoint_dir,
        checkpoint_seconds=settings.audit_checkpoint_minutes * 60,
    )
    return Journal(options, redis)


def link_audit_log(settings: SecuritySettings, *, service: str, link: Path) -> None:
    """Lets `link` (logs/security_audit.log) lead to the live segment of the service's slot 0."""
    target = (settings.audit_dir / service / "0" / LIVE_NAME).absolute()
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        logger.debug("audit journal: its event loop is gone")
