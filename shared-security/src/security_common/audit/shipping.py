"""Brings journals into the Redis stream: each (journal, seq) exactly once, in order, whatever dies.

    journal file ──lines behind the cursor──▶ ship.lua ──▶ stream audit:events
                 ◀────────cursor────────────           └─▶ hash audit:cursors {journal id: last seq in the stream}

The stream is a projection. Only Redis knows how far it is, and every batch is answered with it: a lost answer, a
restored backup, a promoted replica and FLUSHALL all show as a cursor that went back, and the journal feeds again.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from security_common.audit.feed import JournalFeed

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
