"""The journal a service holds: record an event, know that it is on disk, and let it travel to the stream."""

import asyncio
import concurrent.futures
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.journal.commit import GroupCommit, Pending, Receipt
from security_common.journal.errors import JournalUnavailable
from security_common.journal.event import AuditEvent, Outcome
from security_common.journal.keys import chain_key
from security_common.journal.record import ChainHead, draft_line, uuid7
from security_common.journal.shipping import Shipper, shipped_through
from security_common.journal.slot import LIVE_NAME, Recovery, Slot, recover
from security_common.settings import SecuritySettings

__all__ = ["Journal", "link_audit_log", "open_journal"]

WATCH_SECONDS = 1.0
START_ANSWER_SECONDS = 2.0
STOP_SHIPPING_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Journal:
    """One process's audit journal. Made by `open_journal`; `start` before the first event, `stop` after the last."""

    def __init__(
        self,
        *,
        service: str,
        directory: Path,
        key: bytes,
        segment_bytes: int,
        redis: Redis | None,
        clock_ns: Callable[[], int] = time.time_ns,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._service = service
        self._directory = directory
        self._key = key
        self._segment_bytes = segment_bytes
        self._redis = redis
        self._clock_ns = clock_ns
        self._randomness = randomness
        self._slot: Slot | None = None
        self._commit: GroupCommit | None = None
        self._shipper: Shipper | None = None
        self._shipping: asyncio.Task[None] | None = None
        self._committed = asyncio.Event()

    @property
    def writable(self) -> bool:
        """Whether the next event can be expected to reach the disk."""
        return self._commit is not None and self._commit.healthy

    async def start(self) -> None:
        """Claims a slot, recovers what is there and begins to write and ship. Raises OSError or JournalUnavailable."""
        self._slot = await asyncio.to_thread(Slot.claim, self._directory)
        found = await asyncio.to_thread(recover, self._slot, self._key)
        head, story = await self._head_to_go_on_from(found)
        loop = asyncio.get_running_loop()
        self._commit = GroupCommit(
            self._slot,
            head,
            found.live_bytes if head is found.head else 0,
            chain_key=self._key,
            segment_bytes=self._segment_bytes,
            on_commit=lambda: _wake(loop, self._committed),
        )
        self._commit.start()
        await self.record(AuditEvent(event_type="journal_opened", action_taken=story, outcome=Outcome.SUCCESS))
        if self._redis is not None:
            self._shipper = Shipper(self._redis, self._slot.directory, head.journal_id, self._last_on_disk)
            self._shipping = asyncio.create_task(self._keep_shipping(self._shipper), name="audit-shipping")

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
        """Commits what is under way, ships for a moment what is left, and frees the slot."""
        commit, self._commit = self._commit, None
        if commit is None or self._slot is None:
            return
        await asyncio.to_thread(commit.stop)
        if self._shipping is not None and self._shipper is not None:
            self._shipping.cancel()
            await asyncio.gather(self._shipping, return_exceptions=True)
            await self._ship_the_rest(self._shipper, commit.head.seq)
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
        draft = draft_line(event, service=self._service, time_ns=time_ns, event_id=event_id)
        self._commit.submit(Pending(draft, event_id, future, loop))

    async def _head_to_go_on_from(self, found: Recovery) -> tuple[ChainHead, str]:
        """Where the chain goes on, and why.

        A journal that ends before what the stream already has (a restored volume, a disk that lied) must not go on:
        its next lines would repeat numbers that the stream takes for known. It gets a successor with an id of its own.
        """
        if found.head is None:
            return self._new_head(), "opened"
        known = await self._known_to_stream(found.head.journal_id)
        if known is None and found.torn_bytes == 0:
            return found.head, "continued"
        if known is not None and known <= found.head.seq:
            return found.head, "continued" if found.torn_bytes == 0 else "recovered"
        logger.error("audit journal %s ends at %d, the stream has %s", found.head.journal_id, found.head.seq, known)
        if self._slot is not None:
            self._slot.close_live_segment()
        return self._new_head(), "succeeded"

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

    def _last_on_disk(self) -> int:
        return self._commit.head.seq if self._commit is not None else 0

    async def _keep_shipping(self, shipper: Shipper) -> None:
        away = False
        # Not `while True`: on Python 3.11 a wait_for inside redis-py can swallow the cancellation that stop() sends.
        while self._commit is not None:
            self._committed.clear()
            try:
                await shipper.ship()
                if away:
                    logger.info("audit stream is back, journal shipped through %d", shipper.cursor)
                away = False
            except (RedisError, OSError) as error:
                if not away:
                    logger.warning("audit stream is away (%s), the journal keeps its events", type(error).__name__)
                away = True
                await asyncio.sleep(WATCH_SECONDS)
                continue
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._committed.wait()
            except TimeoutError:
                continue

    async def _ship_the_rest(self, shipper: Shipper, last_seq: int) -> None:
        try:
            async with asyncio.timeout(STOP_SHIPPING_SECONDS):
                shipper.through = lambda: last_seq
                await shipper.ship()
        except (RedisError, OSError, TimeoutError):
            logger.warning("audit journal: events wait on disk for the next start")
        finally:
            shipper.close()


def open_journal(*, service: str, settings: SecuritySettings, redis: Redis | None) -> Journal:
    """The journal of this process, below `settings.audit_dir/service`; without Redis it stays local."""
    return Journal(
        service=service,
        directory=settings.audit_dir / service,
        key=chain_key(settings, service=service),
        segment_bytes=settings.audit_segment_bytes,
        redis=redis,
    )


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
