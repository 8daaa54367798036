"""Group commit: one thread writes and syncs what many callers wait for.

    record() ──▶ queue ──▶ [ up to 512 events ] ── write ── fdatasync ──▶ every waiter is answered
                             while one batch syncs, the next one gathers

A commit starts a millisecond after the last one at the soonest. On a disk that syncs faster than that, each event
of a busy service would else be a batch of its own, and every batch takes the interpreter from the event loop six times.

A commit that takes longer than ten seconds (a disk that hangs) is answered with a refusal too; what it was writing may
still reach the disk, as an event whose operation was never answered.

A write that fails (disk full) is cut off again and its batch refused; the journal lives and tries again with the next
one. A sync that fails is final for this process: after it the kernel may call the lost pages clean, so asking the same
descriptor again can report a success that never was.
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
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from security_common.audit.journal_line import ChainHead, seal_line
from security_common.audit.journal_slot import Slot, sync_directory
from security_common.errors import SecurityError

__all__ = ["GroupCommit", "JournalUnavailable", "PendingEvent", "Receipt"]

BATCH_EVENTS = 512
PENDING_EVENTS = 20_000
PATIENCE_SECONDS = 10.0
PACE_SECONDS = 0.001

logger = logging.getLogger(__name__)


class JournalUnavailable(SecurityError):
    """The event is not on disk, so the operation must not be answered: the services answer 503 with Retry-After."""

    error: ClassVar[str] = "temporarily_unavailable"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an event is on disk: its id, and its place (journal, seq) in the trail."""

    event_id: str
    journal_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A drafted line and the one who waits for it: on an event loop, or (loop None) in a thread."""

    draft: bytes
    event_id: str
    future: "asyncio.Future[Receipt] | concurrent.futures.Future[Receipt]"
    loop: asyncio.AbstractEventLoop | None


class GroupCommit:
    """The writer thread of one slot. `head` is the last line known to be on disk; `broken` ends only with a restart."""

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
        self._keyed = hmac.new(chain_key, digestmod="sha256")
        self._segment_bytes = segment_bytes
        self._on_commit = on_commit
        self._under_way: tuple[float, Sequence[PendingEvent]] | None = None
        self._next_commit_at = 0.0
        self._gathered: deque[PendingEvent] = deque()
        self._queue: queue.SimpleQueue[PendingEvent | None] = queue.SimpleQueue()
        self._descriptor = _open_live(slot)
        self._thread = threading.Thread(target=self._run, name="audit-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, pending: PendingEvent) -> None:
        """Hands an event to the writer thread. Raises JournalUnavailable when it is broken or far behind."""
        if self.broken:
            raise _broken()
        if self._queue.qsize() >= PENDING_EVENTS:
            raise JournalUnavailable(
                "the audit journal cannot keep up", hint="look at the disk that holds SECURITY_AUDIT_DIR"
            )
        if pending.loop is None:
            self._queue.put(pending)
            return
        # What one turn of an event loop records goes over together: handed over one by one, each would wake the writer
        # at once, and get a sync of its own.
        # Each sees to it itself, so that none waits for the turn of a loop that has ended.
        self._gathered.append(pending)
        pending.loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        with suppress(IndexError):
            while True:
                self._queue.put(self._gathered.popleft())

    def refuse_if_stuck(self) -> bool:
        """Refuses everyone who waits, when the commit under way has taken too long, and tells whether it has."""
        under_way = self._under_way
        if under_way is None or time.monotonic() - under_way[0] < PATIENCE_SECONDS:
            return False
        self.healthy = False
        waiting, ends = self._take_waiting(list(under_way[1]), limit=PENDING_EVENTS)
        settle(waiting, _stuck())
        if ends:
            self._queue.put(None)
        return True

    def stop(self) -> None:
        """Commits what was handed in before, then ends the thread and closes the file."""
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._gather()
            started = time.monotonic()
            self._next_commit_at = started + PACE_SECONDS
            self._under_way = started, batch
            try:
                settle(batch, self._commit(batch))
            except JournalUnavailable as error:
                settle(batch, error)
            self._under_way = None

    def _gather(self) -> tuple[list[PendingEvent], bool]:
        """Waits for one event, takes all that came with it, and tells whether the end came too."""
        first = self._queue.get()
        if first is None:
            return [], True
        time.sleep(max(0.0, self._next_commit_at - time.monotonic()))
        return self._take_waiting([first], limit=BATCH_EVENTS)

    def _take_waiting(self, taken: list[PendingEvent], *, limit: int) -> tuple[list[PendingEvent], bool]:
        while len(taken) < limit:
            try:
                pending = self._queue.get_nowait()
            except queue.Empty:
                break
            if pending is None:
                return taken, True
            taken.append(pending)
        return taken, False

    def _commit(self, batch: Sequence[PendingEvent]) -> list[Receipt]:
        if self.broken:
            raise _broken()
        if not batch:
            return []
        head = self.head
        lines: list[bytes] = []
        for pending in batch:
            line, head = seal_line(pending.draft, head, self._keyed)
            lines.append(line)
        lines.append(b"")
        self._append(b"\n".join(lines))
        first_seq = self.head.seq + 1
        self.head = head
        self.healthy = True
        self._on_commit()
        return [Receipt(each.event_id, head.journal_id, first_seq + place) for place, each in enumerate(batch)]

    def _append(self, data: bytes) -> None:
        try:
            if self._live_bytes >= self._segment_bytes:
                self._rotate()
            _write_all(self._descriptor, data)
        except OSError as error:
            self._cut_back(error)
            raise JournalUnavailable(
                "the audit journal cannot be written",
                hint="free space on the disk that holds SECURITY_AUDIT_DIR; the journal goes on by itself",
            ) from error
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._break(error)
            raise _broken() from error
        self._live_bytes += len(data)

    def _rotate(self) -> None:
        self._slot.close_live_segment()
        closed, self._descriptor = self._descriptor, _open_live(self._slot)
        os.close(closed)
        self._live_bytes = 0

    def _cut_back(self, cause: OSError) -> None:
        """Takes a half-written batch off the file again, so that the next one starts at a line."""
        self.healthy = False
        logger.error("audit journal: write failed (%s), batch refused", os.strerror(cause.errno or 0))
        try:
            os.ftruncate(self._descriptor, self._live_bytes)
        except OSError as error:
            self._break(error)

    def _break(self, cause: OSError) -> None:
        self.healthy = False
        self.broken = True
        logger.critical("audit journal: %s; refusing until restart", os.strerror(cause.errno or 0))


def settle(batch: Sequence[PendingEvent], outcome: Sequence[Receipt] | JournalUnavailable) -> None:
    """Answers every waiter of a batch, each event loop with one call."""
    answers: dict[asyncio.AbstractEventLoop | None, list[tuple[PendingEvent, Receipt | JournalUnavailable]]] = {}
    for place, pending in enumerate(batch):
        answer = outcome if isinstance(outcome, JournalUnavailable) else outcome[place]
        answers.setdefault(pending.loop, []).append((pending, answer))
    for loop, group in answers.items():
        if loop is None:
            _answer(group)
            continue
        try:
            loop.call_soon_threadsafe(_answer, group)
        except RuntimeError:
            logger.info("audit journal: %d waiters left with their event loop", len(group))


def _answer(group: Sequence[tuple[PendingEvent, Receipt | JournalUnavailable]]) -> None:
    for pending, answer in group:
        if pending.future.done():
            continue
        if isinstance(answer, JournalUnavailable):
            pending.future.set_exception(answer)
        else:
            pending.future.set_result(answer)


def _stuck() -> JournalUnavailable:
    return JournalUnavailable(
        "the audit journal's disk does not answer", hint="look at the disk under SECURITY_AUDIT_DIR"
    )


def _broken() -> JournalUnavailable:
    return JournalUnavailable(
        "the audit journal failed to reach the disk", hint="look at the disk, then restart the service"
    )


def _open_live(slot: Slot) -> int:
    descriptor = os.open(slot.live_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    sync_directory(slot.directory)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
