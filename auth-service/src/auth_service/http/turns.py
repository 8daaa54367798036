"""Work that is done for one name at a time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Turns"]


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Turns:
    """Lets those of one name go one after the other, in this process. Remembers only names that somebody waits for.

    A limit that is checked before some work, and counted after it, is passed by whoever begins a hundred at once.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def wait_for(self, name: str) -> AsyncGenerator[None]:
        """Waits until it is this one's turn, which lasts as long as the block."""
        queue = self._queues.setdefault(name, _Queue())
        queue.length += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.length -= 1
            if queue.length == 0:
                del self._queues[name]
