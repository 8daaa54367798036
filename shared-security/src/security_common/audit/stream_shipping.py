"""Brings journals into the Redis stream: each (journal, seq) exactly once, in order, whatever dies.

    journal file ──lines behind the cursor──▶ ship.lua ──▶ stream audit:events
                 ◀────────cursor────────────           └─▶ hash audit:cursors {journal id: last seq in the stream}

The stream is a projection. Only Redis knows how far it is, and every batch is answered with it: a lost answer, a
restored backup, a promoted replica and FLUSHALL all show as a cursor that went back, and the journal feeds again.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from security_common.audit.journal_slot import Segment, SegmentIndex, describe_segment

__all__ = ["CURSORS_KEY", "STREAM_KEY", "Shipper", "shipped_through"]

STREAM_KEY = "audit:events"
CURSORS_KEY = "audit:cursors"
BATCH_LINES = 256

_SHIP = files("security_common.audit").joinpath("ship.lua").read_text(encoding="ascii")


async def shipped_through(redis: Redis, journal_id: str) -> int:
    """The last seq of a journal that the stream holds, 0 when none."""
    answer = redis.hget(CURSORS_KEY, journal_id)
    return int(await answer or 0)  # pyright: ignore[reportGeneralTypeIssues]  # typed as sync or async


class Shipper:
    """Ships one journal. `through` returns the last seq that is on disk: nothing behind it may leave.

    `on_shipped` is awaited with the number of lines after each batch, `on_full` when Redis refuses a batch for want of
    memory; when it has made space, the batch is sent once more.
    """

    def __init__(
        self,
        redis: Redis,
        directory: Path,
        journal_id: str,
        through: Callable[[], int],
        *,
        on_shipped: Callable[[int], Awaitable[object]] | None = None,
        on_full: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.cursor = 0
        self._on_shipped = on_shipped
        self._on_full = on_full
        self._unasked = True
        self._feed = JournalFeed(directory, journal_id)
        self.through = through
        self._ship = redis.register_script(_SHIP)

    async def ship(self) -> int:
        """Ships everything behind the cursor and returns the cursor then; with nothing to ship, it asks for it.

        Raises redis.RedisError or OSError; calling it again later is always right.
        """
        if self._unasked:
            self.cursor = await self._send(1, [])
            self._unasked = False
        while True:
            through, before = self.through(), self.cursor
            first_seq, lines = 1, list[bytes]()
            if before < through:
                first_seq, lines = self._feed.lines_after(before, through=through, limit=BATCH_LINES)
            self.cursor = await self._send_or_make_space(first_seq, lines)
            if self._on_shipped is not None and lines:
                await self._on_shipped(len(lines))
            if self.cursor >= through or (not lines and self.cursor == before):
                return self.cursor

    def close(self) -> None:
        self._feed.close()

    async def _send_or_make_space(self, first_seq: int, lines: list[bytes]) -> int:
        try:
            return await self._send(first_seq, lines)
        except OutOfMemoryError:
            if self._on_full is None or not await self._on_full():
                raise
            return await self._send(first_seq, lines)

    async def _send(self, first_seq: int, lines: list[bytes]) -> int:
        return int(
            await self._ship(
                keys=[STREAM_KEY, CURSORS_KEY], args=[self._feed.journal_id, self._feed.oldest_seq, first_seq, *lines]
            )
        )


class JournalFeed:
    """Reads where it stopped last time; a jump back or ahead costs a scan of one segment.

    Lines are counted, not parsed: seq has no gaps. `oldest_seq` is the first line the journal still holds.
    """

    def __init__(self, directory: Path, journal_id: str) -> None:
        self.journal_id = journal_id
        self.oldest_seq = 1
        self._index = SegmentIndex(directory)
        self._file: BinaryIO | None = None
        self._next_seq = 0

    def lines_after(self, seq: int, *, through: int, limit: int) -> tuple[int, list[bytes]]:
        """Up to `limit` lines behind `seq` and not behind `through`, and the seq of the first of them."""
        if self._file is None or self._next_seq != seq + 1:
            self._seek(seq + 1)
        first_seq, lines = self._next_seq, list[bytes]()
        while self._next_seq <= through and len(lines) < limit:
            line = self._file.readline() if self._file else b""
            if line.endswith(b"\n"):
                lines.append(line[:-1])
                self._next_seq += 1
            elif not self._open_segment_that_begins_here():
                break
        return first_seq, lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _segments(self) -> list[Segment]:
        mine = [each for each in self._index.segments() if each.journal_id == self.journal_id]
        if mine:
            self.oldest_seq = mine[0].first_seq
        return mine

    def _seek(self, seq: int) -> None:
        self.close()
        segments = self._segments()
        if not segments:
            self._next_seq = seq
            return
        holding = [each for each in segments if each.first_seq <= seq]
        segment = holding[-1] if holding else segments[0]
        if not self._open(segment):
            return
        while self._next_seq < seq and self._file is not None and self._file.readline().endswith(b"\n"):
            self._next_seq += 1

    def _open_segment_that_begins_here(self) -> bool:
        following = [each for each in self._segments() if each.first_seq == self._next_seq]
        return bool(following) and self._open(following[-1])

    def _open(self, segment: Segment) -> bool:
        self.close()
        try:
            file = segment.path.open("rb")
        except FileNotFoundError:
            return False
        # The writer may have closed the live segment since it was listed: the name then leads to its successor.
        if describe_segment(file, segment.path, segment.index) != segment:
            file.close()
            return False
        file.seek(0)
        self._file, self._next_seq = file, segment.first_seq
        return True
