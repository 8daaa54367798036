"""Group commit: one thread writes and syncs the events of many callers together.

    record() ──▶ queue ──▶ [ up to 512 events ] ── write ── sync ──▶ every caller gets its receipt
                             events that arrive during a sync wait for the next batch

A commit starts at least one millisecond after the previous one. Without this pause, on a fast disk each event of a busy
service would be a batch of its own, and each batch takes the interpreter lock from the event loop six times.

When the journal cannot be written, the callers get `JournalUnavailable`, and the services answer 503 with Retry-After,
or a JSON-RPC error on a stream that has begun (a refusal by the guard keeps its status):

    the write fails (disk full)        the incomplete batch is cut off and refused; the next batch is written normally
    the sync fails                     every event is refused until the process is restarted: after a failed sync the
                                       kernel may report the lost pages as clean, so a second sync proves nothing
    a commit takes more than 10 s      the waiting events are refused; what is being written may still reach the disk,
                                       as events of operations whose results were not sent
    the incomplete batch cannot be     every event is refused until the process is restarted
    cut off, or the writer thread
    fails
    20,000 events are waiting          further events are refused
"""

import asyncio
import concurrent.futures
import hmac
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from security_common.audit.journal_line import ChainHead, seal_line
from security_common.audit.journal_slot import MAX_BATCH_EVENTS, Slot
from security_common.errors import SecurityError
from security_common.private_files import sync_descriptor, sync_directory

__all__ = ["GroupCommit", "JournalUnavailable", "PendingEvent", "Receipt"]

MAX_PENDING_EVENTS = 20_000
COMMIT_TIMEOUT_SECONDS = 10.0
COMMIT_INTERVAL_SECONDS = 0.001

logger = logging.getLogger(__name__)


class JournalUnavailable(SecurityError):
    """It is not certain that the event is on disk, so the result must not be sent; the services send 503 instead."""

    error: ClassVar[str] = "temporarily_unavailable"
    client_text: ClassVar[str] = "the request cannot be recorded at the moment (try again later)"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an event is on disk: its id, its journal and its sequence number."""

    event_id: str
    journal_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A drafted line and the future of its caller. `loop` is None if the caller is a thread without an event loop."""

    draft: bytes
    event_id: str
    future: "asyncio.Future[Receipt] | concurrent.futures.Future[Receipt]"
    loop: asyncio.AbstractEventLoop | None


class GroupCommit:
    """The writer thread of one slot.

    `head` is the last line that is known to be on disk. `healthy` is false after a failure until a commit succeeds.
    `broken` is true after a failed sync, a failed cut or an unexpected error, until the process is restarted.
    """

    def __init__(
        self,
        slot: Slot,
        head: ChainHead,
        live_bytes: int,
        *,
        chain_key: bytes,
        segment_bytes: int,
        on_commit: Callable[[], None],
    ) -> None:
        self.head = head
        self.healthy = True
        self.broken = False
        self._slot = slot
        self._live_bytes = live_bytes
        self._keyed_hash = hmac.new(chain_key, digestmod="sha256")
        self._segment_bytes = segment_bytes
        self._on_commit = on_commit
        # The time at which the current commit started, and its events.
        self._current_commit: tuple[float, Sequence[PendingEvent]] | None = None
        self._next_commit_at = 0.0
        self._submitted: deque[PendingEvent] = deque()
        self._queue: queue.SimpleQueue[PendingEvent | None] = queue.SimpleQueue()
        self._descriptor = _open_live_segment(slot)
        self._thread = threading.Thread(target=self._run, name="audit-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, pending: PendingEvent) -> None:
        """Queues an event for the writer thread.

        Raises JournalUnavailable if the queue is full or the journal is broken.
        """
        if self.broken:
            raise _broken()
        if self._queue.qsize() >= MAX_PENDING_EVENTS:
            raise JournalUnavailable(
                "events arrive faster than the audit journal can write them",
                hint="check the speed of the disk that contains SECURITY_AUDIT_DIR",
            )
        if pending.loop is None:
            self._queue.put(pending)
            return
        # Events of one iteration of the event loop are queued together. Queued one by one, the first would wake the
        # writer thread at once and get a sync of its own. All event loops share `_submitted`. Each event
        # schedules a transfer on its own loop, even if another loop has one scheduled, because that other loop could
        # end before it runs it.
        self._submitted.append(pending)
        pending.loop.call_soon(self._queue_submitted)

    def _queue_submitted(self) -> None:
        while True:
            try:
                pending = self._submitted.popleft()
            except IndexError:  # not checked before: the loop of another thread may take the last one
                return
            self._queue.put(pending)

    def refuse_if_stuck(self) -> bool:
        """Refuses all waiting events if the current commit takes too long. Returns whether it does."""
        current = self._current_commit
        if current is None:
            return False
        started_at, batch = current
        if time.monotonic() - started_at < COMMIT_TIMEOUT_SECONDS:
            return False
        self.healthy = False
        waiting = list(batch)
        stop_requested = self._take_queued(waiting, limit=MAX_PENDING_EVENTS)
        answer_callers(
            waiting,
            JournalUnavailable(
                "the disk of the audit journal does not respond", hint="check the disk that contains SECURITY_AUDIT_DIR"
            ),
        )
        if stop_requested:
            self._queue.put(None)
        return True

    def stop(self) -> None:
        """Commits what was submitted before, ends the thread and closes the file."""
        self._queue_submitted()
        self._queue.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        stop_requested = False
        while not stop_requested:
            batch: list[PendingEvent] = []
            try:
                stop_requested = self._collect_batch(batch)
                self._commit_batch(batch)
            except BaseException as error:  # noqa: BLE001 - if this thread ended, callers would wait forever
                self._refuse_until_restart(error)
                answer_callers(batch, _broken())
            self._current_commit = None

    def _commit_batch(self, batch: Sequence[PendingEvent]) -> None:
        """Commits the events and answers their callers."""
        started_at = time.monotonic()
        self._next_commit_at = started_at + COMMIT_INTERVAL_SECONDS
        self._current_commit = started_at, batch
        try:
            receipts = self._commit(batch)
        except JournalUnavailable as error:
            answer_callers(batch, error)
        else:
            answer_callers(batch, receipts)

    def _collect_batch(self, batch: list[PendingEvent]) -> bool:
        """Waits for an event and adds up to MAX_BATCH_EVENTS to `batch`. Returns whether `stop` was called."""
        first = self._queue.get()
        if first is None:
            return True
        batch.append(first)
        time.sleep(max(0.0, self._next_commit_at - time.monotonic()))
        return self._take_queued(batch, limit=MAX_BATCH_EVENTS)

    def _take_queued(self, events: list[PendingEvent], *, limit: int) -> bool:
        """Adds the queued events until there are `limit` in the list. Returns whether `stop` was called."""
        while len(events) < limit:
            try:
                pending = self._queue.get_nowait()
            except queue.Empty:
                break
            if pending is None:
                return True
            events.append(pending)
        return False

    def _commit(self, batch: Sequence[PendingEvent]) -> list[Receipt]:
        """Seals the lines, writes them together and returns when they are synced. Raises JournalUnavailable."""
        if self.broken:
            raise _broken()
        if not batch:
            return []
        head = self.head
        lines: list[bytes] = []
        for pending in batch:
            line, head = seal_line(pending.draft, head, self._keyed_hash)
            lines.append(line + b"\n")
        self._append(b"".join(lines))
        first_seq = self.head.seq + 1
        self.head = head
        self.healthy = True
        self._on_commit()
        return [Receipt(pending.event_id, head.journal_id, first_seq + index) for index, pending in enumerate(batch)]

    def _append(self, data: bytes) -> None:
        try:
            if self._live_bytes >= self._segment_bytes:
                self._start_new_segment()
            _write_all(self._descriptor, data)
        except OSError as error:
            self._cut_off_incomplete_batch(error)
            raise JournalUnavailable(
                "the audit journal cannot be written",
                hint="check the disk that contains SECURITY_AUDIT_DIR, and free space if it is full; "
                "recording continues by itself",
            ) from error
        try:
            sync_descriptor(self._descriptor)
        except OSError as error:
            self._refuse_until_restart(error)
            raise _broken() from error
        self._live_bytes += len(data)

    def _start_new_segment(self) -> None:
        self._slot.close_live_segment()
        closed = self._descriptor
        self._descriptor = _open_live_segment(self._slot)
        os.close(closed)
        self._live_bytes = 0

    def _cut_off_incomplete_batch(self, cause: OSError) -> None:
        """Truncates the file to the previous batch, so that the next batch begins at the start of a line."""
        self.healthy = False
        logger.error("audit_journal_write_failed cause=%s", os.strerror(cause.errno or 0))
        try:
            os.ftruncate(self._descriptor, self._live_bytes)
        except OSError as error:
            self._refuse_until_restart(error)

    def _refuse_until_restart(self, cause: BaseException) -> None:
        self.healthy = False
        self.broken = True
        is_disk_error = isinstance(cause, OSError)
        logger.critical(
            "audit_journal_broken cause=%s: events are refused until the service is restarted",
            os.strerror(cause.errno or 0) if is_disk_error else type(cause).__name__,
            exc_info=None if is_disk_error else cause,
        )


def answer_callers(batch: Sequence[PendingEvent], outcome: Sequence[Receipt] | JournalUnavailable) -> None:
    """Gives every caller of a batch its receipt or the error, with one call for each event loop."""
    answers: dict[asyncio.AbstractEventLoop | None, list[tuple[PendingEvent, Receipt | JournalUnavailable]]] = {}
    for index, pending in enumerate(batch):
        answer = outcome if isinstance(outcome, JournalUnavailable) else outcome[index]
        answers.setdefault(pending.loop, []).append((pending, answer))
    for loop, group in answers.items():
        if loop is None:
            _set_futures(group)
            continue
        try:
            loop.call_soon_threadsafe(_set_futures, group)
        except RuntimeError:
            logger.info("audit_receipts_not_delivered callers=%d", len(group))


def _set_futures(group: Sequence[tuple[PendingEvent, Receipt | JournalUnavailable]]) -> None:
    for pending, answer in group:
        if pending.future.done():
            continue
        try:
            if isinstance(answer, JournalUnavailable):
                pending.future.set_exception(answer)
            else:
                pending.future.set_result(answer)
        except concurrent.futures.InvalidStateError:
            continue  # another thread has answered a synchronous caller since the check


def _broken() -> JournalUnavailable:
    return JournalUnavailable(
        "the audit journal stopped after an error", hint="the log has the cause; fix it and restart the service"
    )


def _open_live_segment(slot: Slot) -> int:
    descriptor = os.open(slot.live_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    sync_directory(slot.directory)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        view = view[written:]
