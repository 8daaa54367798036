"""Sessions of protocol versions up to 2025-11-25: one for each caller, because a server keeps state in it.

A server that assigns no session keeps none, so that all callers share what was agreed with it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["LegacySession", "LegacySessions"]

MAX_SESSIONS = 1000


@dataclass(frozen=True, slots=True)
class LegacySession:
    """What `initialize` agreed: the version, and the session if the server assigned one."""

    version: str
    session_id: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"MCP-Protocol-Version": self.version}
        return headers if self.session_id is None else {**headers, "Mcp-Session-Id": self.session_id}


class LegacySessions:
    """The sessions by owner. The one that was not used for the longest time is forgotten when there are too many."""

    def __init__(self, open_session: Callable[[], Awaitable[LegacySession]]) -> None:
        self._open_session = open_session
        self._sessions: OrderedDict[str, asyncio.Task[LegacySession]] = OrderedDict()
        self._without_session: LegacySession | None = None

    async def of(self, owner: str) -> LegacySession:
        """The session of this owner. It is opened if there is none; calls at the same time wait for the same one.

        Raises what opening it raises.
        """
        if self._without_session is not None:
            return self._without_session
        task = self._sessions.get(owner)
        if task is None:
            task = asyncio.create_task(self._open(), name="open-mcp-session")
            self._sessions[owner] = task
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(owner)
        try:
            session = await asyncio.shield(task)
        except BaseException:
            # A caller that was cancelled does not end the handshake, for which others may be waiting.
            if task.done() and self._sessions.get(owner) is task:
                del self._sessions[owner]
            raise
        if session.session_id is None:
            self._without_session = session
        return session

    async def _open(self) -> LegacySession:
        return await self._open_session()

    def forget(self, session: LegacySession) -> None:
        """Removes a session that the server does not know any more."""
        lost = [key for key, task in self._sessions.items() if _is_of(task, session)]
        for key in lost:
            del self._sessions[key]

    def clear(self) -> None:
        """Forgets all sessions."""
        for task in self._sessions.values():
            task.cancel()
        self._sessions.clear()
        self._without_session = None


def _is_of(task: asyncio.Task[LegacySession], session: LegacySession) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result() is session
