"""The connections to one server: one for each caller, because a server may keep something of a caller in it.

A server that keeps nothing of its callers has one connection for all of them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway_service.upstreams.errors import UpstreamBusy
from gateway_service.upstreams.transport import PoolableConnection
from security_common.task_cancellation import cancel_tasks

__all__ = ["ConnectionPool", "PooledConnection"]

MAX_SWEEP_SECONDS = 30.0

ConnectionT = TypeVar("ConnectionT", bound=PoolableConnection)


@dataclass(slots=True, eq=False)
class PooledConnection(Generic[ConnectionT]):
    """The connection of one owner. `uses` is how many calls use it at present."""

    owner: str
    opening: asyncio.Task[ConnectionT]
    uses: int
    last_used: float
    is_discarded: bool = False

    @property
    def connection(self) -> ConnectionT:
        """Raises what opening it raised."""
        return self.opening.result()

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and can be used."""
        return self._was_opened and not self.connection.is_closed

    @property
    def is_unusable(self) -> bool:
        """Whether it could not be opened, or was closed since."""
        return self.opening.done() and not self.is_open

    @property
    def _was_opened(self) -> bool:
        return self.opening.done() and not self.opening.cancelled() and self.opening.exception() is None


class ConnectionPool(Generic[ConnectionT]):
    """Opens connections when they are needed, and closes those that were not used for a while."""

    def __init__(
        self,
        upstream: str,
        open_connection: Callable[[str], Coroutine[Any, Any, ConnectionT]],
        *,
        max_connections: int,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_connection` is called with the owner."""
        self._upstream = upstream
        self._open_connection = open_connection
        self._max_connections = max_connections
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._entries: OrderedDict[str, PooledConnection[ConnectionT]] = OrderedDict()
        self._shared: PooledConnection[ConnectionT] | None = None
        self._discarded: set[PooledConnection[ConnectionT]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def open_connections(self) -> int:
        """How many connections there are, with those that are being opened or not closed yet."""
        return len(self._entries) + len(self._discarded) + len(self._closing)

    async def acquire(self, owner: str) -> PooledConnection[ConnectionT]:
        """The connection of this owner, which is opened if there is none; `release` has to follow.

        Calls at the same time wait for the same connection. Raises what opening it raises, and `UpstreamBusy` if there
        are as many connections as are allowed, and all of them are in use.
        """
        shared = self._shared
        if shared is not None and shared.is_open:
            shared.uses += 1
            return shared
        entry = self._entries.get(owner)
        if entry is not None and entry.is_unusable:
            self.discard(entry)
            entry = None
        if entry is None:
            entry = self._start_opening(owner)
        self._entries.move_to_end(owner)
        entry.uses += 1
        try:
            # A caller that is cancelled does not end the opening, for which others may be waiting.
            connection = await asyncio.shield(entry.opening)
        except BaseException:
            self.release(entry)
            if entry.is_unusable:
                self.discard(entry)
            raise
        if connection.is_shared and not connection.is_closed:
            self._shared = entry
        return entry

    def find(self, owner: str) -> PooledConnection[ConnectionT] | None:
        """The open connection of this owner, if there is one; `release` has to follow then."""
        entry = self._entries.get(owner)
        if entry is None or not entry.is_open:
            return None
        self._entries.move_to_end(owner)
        entry.uses += 1
        return entry

    def release(self, entry: PooledConnection[ConnectionT]) -> None:
        """Ends the use of a connection by one call."""
        entry.uses -= 1
        entry.last_used = self._clock()
        if not entry.uses and entry.is_discarded:
            self._start_closing(entry)

    def discard(self, entry: PooledConnection[ConnectionT]) -> None:
        """Removes a connection, and closes it in the background once the calls that use it have ended."""
        if entry.is_discarded:
            return
        entry.is_discarded = True
        self._discarded.add(entry)
        del self._entries[entry.owner]
        if self._shared is entry:
            self._shared = None
        if not entry.uses:
            self._start_closing(entry)

    def clear(self) -> None:
        """Discards all connections."""
        for entry in tuple(self._entries.values()):
            self.discard(entry)

    async def close(self) -> None:
        """Closes all connections, and returns when they are closed."""
        if self._sweeping is not None:
            await cancel_tasks(self._sweeping)
            self._sweeping = None
        self.clear()
        for entry in tuple(self._discarded):  # whose calls have not ended
            self._start_closing(entry)
        while self._closing:
            await asyncio.wait(tuple(self._closing))

    def _start_opening(self, owner: str) -> PooledConnection[ConnectionT]:
        if len(self._entries) + len(self._discarded) >= self._max_connections:
            idle = next((each for each in self._entries.values() if not each.uses), None)
            if idle is None:
                raise UpstreamBusy(f"{self._upstream} has too many callers at present", hint="try again in a moment")
            self.discard(idle)
        opening = asyncio.create_task(self._open(owner), name=f"open-connection-{self._upstream}")
        entry = PooledConnection(owner, opening, uses=0, last_used=self._clock())
        self._entries[owner] = entry
        if self._sweeping is None:
            # In a context of its own: that of the present request would be kept as long as the pool exists.
            name = f"close-idle-connections-{self._upstream}"
            self._sweeping = asyncio.create_task(self._sweep(), name=name, context=Context())
        return entry

    def _start_closing(self, entry: PooledConnection[ConnectionT]) -> None:
        self._discarded.discard(entry)
        task = asyncio.create_task(_close(entry), name=f"close-connection-{self._upstream}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _open(self, owner: str) -> ConnectionT:
        """Opens a connection once there are few enough, with those that are being closed."""
        while self._closing and self.open_connections > self._max_connections:
            await asyncio.wait(tuple(self._closing), return_when=asyncio.FIRST_COMPLETED)
        return await self._open_connection(owner)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(MAX_SWEEP_SECONDS, self._idle_seconds / 4))
            self.discard_idle()

    def discard_idle(self) -> None:
        """Discards unusable connections, and stateful ones that were not used for `idle_seconds`."""
        latest = self._clock() - self._idle_seconds
        for entry in tuple(self._entries.values()):
            is_idle = not entry.uses and entry.last_used <= latest
            if entry.is_unusable or (is_idle and entry.is_open and entry.connection.is_stateful):
                self.discard(entry)


async def _close(entry: PooledConnection[ConnectionT]) -> None:
    """Closes the connection; one that is being opened is not needed any more."""
    entry.opening.cancel()
    await asyncio.wait((entry.opening,))
    if not entry.opening.cancelled() and entry.opening.exception() is None:
        await entry.connection.close()
