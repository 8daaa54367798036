"""The instances of a program behind a bridge, by session."""

import secrets

from gateway_service.upstreams.connection_pool import ConnectionPool, PooledConnection
from gateway_service.upstreams.stdio_transport import StdioConnection, StdioTransport

__all__ = ["ProgramSessions"]

_CALLER = "caller:"
"""Begins what is used in place of a session id for requests of 2026-07-28; no session id has a colon."""


class ProgramSessions:
    """Starts and ends instances. What a method returns has to be given back with `release`."""

    def __init__(self, name: str, transport: StdioTransport) -> None:
        self._transport = transport
        self._pool = ConnectionPool(
            name, self._start, max_connections=transport.max_connections, idle_seconds=transport.idle_seconds
        )

    async def begin(self) -> tuple[str, PooledConnection[StdioConnection]]:
        """A new session id and its instance. Raises `UpstreamFailure`, `UpstreamBusy` if there are too many."""
        session_id = secrets.token_urlsafe(24)
        return session_id, await self._pool.acquire(session_id)

    def find(self, session_id: str) -> PooledConnection[StdioConnection] | None:
        """The instance of a session; None if the session is unknown, was idle for too long, or has ended."""
        return self._pool.find(session_id) if not session_id.startswith(_CALLER) else None

    async def stateless(self, caller: str) -> PooledConnection[StdioConnection]:
        """The instance for requests that are complete: one for each id of a caller that the gateway sends.

        Raises `UpstreamFailure`, `UpstreamBusy` if there are too many.
        """
        return await self._pool.acquire(f"{_CALLER}{caller}")

    def end(self, session_id: str) -> bool:
        """Ends the instance of a session. Returns whether there was one."""
        entry = self.find(session_id)
        if entry is None:
            return False
        self._pool.discard(entry)
        self._pool.release(entry)
        return True

    def release(self, entry: PooledConnection[StdioConnection]) -> None:
        """Ends the use of an instance by one request."""
        self._pool.release(entry)

    async def close(self) -> None:
        """Ends all instances."""
        await self._pool.close()

    async def _start(self, _: str) -> StdioConnection:
        # The pauses between restarts are those of the program, not of a session, which is new each time.
        return await self._transport.connect("", _ignore_list_change)


def _ignore_list_change(_: str) -> None:
    """A bridge has no stream on which a changed list could be reported; the gateway compares lists regularly."""
