"""Ships journals into the Redis stream: each line exactly once and in order, whatever fails.

    journal file ──lines after the cursor──▶ ship.lua ──▶ stream audit:events
                 ◀────────cursor───────────           └─▶ hash audit:cursors {journal id: last seq in the stream}

Redis alone stores how far the stream is, and every batch returns this cursor. After a lost reply, a restored backup, a
failover or FLUSHALL the cursor is lower than before, and the journal is shipped again from there.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, Self

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from security_common.audit.segment_files import Segment, SegmentIndex, describe_segment

__all__ = ["CURSORS_KEY", "STREAM_KEY", "JournalReader", "Shipper", "redis_text", "shipped_through"]

STREAM_KEY = "audit:events"
CURSORS_KEY = "audit:cursors"
BATCH_LINES = 256

_SHIP_SCRIPT = files("security_common.audit").joinpath("ship.lua").read_text(encoding="ascii")


def redis_text(value: bytes | str) -> str:
    """A text from a Redis client that decodes its answers or does not."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


async def shipped_through(redis: Redis, journal_id: str) -> int:
    """The sequence number of the last line of a journal that is in the stream; 0 if there is none."""
    stored = await redis.hget(CURSORS_KEY, journal_id)  # pyright: ignore[reportGeneralTypeIssues]  # typed as sync or async
    return int(stored) if stored else 0


class Shipper:
    """Ships one journal.

    `last_on_disk` returns the last sequence number that is on disk: no later line may be shipped. `on_shipped` is
    awaited with the number of lines after each batch. `on_full` is awaited when Redis refuses a batch because it has
    no memory left; if it returns a number above 0, the batch is sent once more.
    """

    def __init__(
        self,
        redis: Redis,
        directory: Path,
        journal_id: str,
        last_on_disk: Callable[[], int],
        *,
        on_shipped: Callable[[int], Awaitable[object]] | None = None,
        on_full: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.cursor = 0
        self._cursor_is_known = False
        self._on_shipped = on_shipped
        self._on_full = on_full
        self._reader = JournalReader(directory, journal_id)
        self._last_on_disk = last_on_disk
        self._script = redis.register_script(_SHIP_SCRIPT)

    async def ship(self) -> int:
        """Ships every line after the cursor and returns the new cursor. Without new lines it only reads the cursor.

        Raises redis.RedisError and OSError. It can always be called again.
        """
        if not self._cursor_is_known:
            self.cursor = await self._read_cursor()
            self._cursor_is_known = True
        while True:
            through = self._last_on_disk()
            before = self.cursor
            if before >= through:
                self.cursor = await self._read_cursor()
                lines: list[bytes] = []
            else:
                first_seq, lines = self._reader.lines_after(before, through=through, limit=BATCH_LINES)
                self.cursor = await self._send_or_make_space(first_seq, lines)
            if self._on_shipped is not None and lines:
                await self._on_shipped(len(lines))
            if self.cursor >= through or (not lines and self.cursor == before):
                return self.cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file that is read."""
        self._reader.close()

    async def _read_cursor(self) -> int:
        """The cursor in Redis: the script returns it even if it gets no lines."""
        return await self._send(1, [])

    async def _send_or_make_space(self, first_seq: int, lines: list[bytes]) -> int:
        try:
            return await self._send(first_seq, lines)
        except OutOfMemoryError:
            if self._on_full is None or not await self._on_full():
                raise
            return await self._send(first_seq, lines)

    async def _send(self, first_seq: int, lines: list[bytes]) -> int:
        keys = [STREAM_KEY, CURSORS_KEY]
        arguments = [self._reader.journal_id, self._reader.oldest_seq, first_seq, *lines]
        return int(await self._script(keys=keys, args=arguments))


class JournalReader:
    """Reads the lines of one journal in order, across its segments. It continues where the last call stopped.

    A jump to another position reads one segment from its beginning. Lines are counted and not parsed, because sequence
    numbers have no gaps. `oldest_seq` is the first line that the journal still has.
    """

    def __init__(self, directory: Path, journal_id: str) -> None:
        self.journal_id = journal_id
        self.oldest_seq = 1
        self._index = SegmentIndex(directory)
        self._file: BinaryIO | None = None
        self._next_seq = 0

    def lines_after(self, seq: int, *, through: int, limit: int) -> tuple[int, list[bytes]]:
        """At most `limit` lines after `seq` and up to `through`, and the sequence number of the first of them."""
        if self._file is None or self._next_seq != seq + 1:
            self._seek(seq + 1)
        first_seq = self._next_seq
        lines: list[bytes] = []
        while self._next_seq <= through and len(lines) < limit:
            line = self._file.readline() if self._file else b""
            if line.endswith(b"\n"):
                lines.append(line[:-1])
                self._next_seq += 1
            elif not self._open_next_segment():
                break
        return first_seq, lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _segments(self) -> list[Segment]:
        segments = [each for each in self._index.segments() if each.journal_id == self.journal_id]
        if segments:
            self.oldest_seq = segments[0].first_seq
        return segments

    def _seek(self, seq: int) -> None:
        self.close()
        segments = self._segments()
        if not segments:
            self._next_seq = seq
            return
        earlier = [each for each in segments if each.first_seq <= seq]
        if not self._open(earlier[-1] if earlier else segments[0]):
            return
        while self._next_seq < seq and self._file is not None and self._file.readline().endswith(b"\n"):
            self._next_seq += 1

    def _open_next_segment(self) -> bool:
        """Opens the segment that begins with the next line, if there is one."""
        following = [each for each in self._segments() if each.first_seq == self._next_seq]
        return bool(following) and self._open(following[-1])

    def _open(self, segment: Segment) -> bool:
        self.close()
        try:
            file = segment.path.open("rb")
        except FileNotFoundError:
            return False
        # If the writer has closed the live segment since it was listed, the path leads to another segment now.
        if describe_segment(file, segment.path, segment.index) != segment:
            file.close()
            return False
        file.seek(0)
        self._file = file
        self._next_seq = segment.first_seq
        return True
