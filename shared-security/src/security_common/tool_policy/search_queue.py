"""Searches large data outside of the event loop: one thread, one search at a time, the shortest first.

    event loop ──▶ SearchQueue.run ──▶ waiting searches, by size ──▶ thread ──▶ the result, back on the event loop
    sync tool  ──▶ SearchQueue.run_blocking ──▶ the thread of the tool, when no other search runs

Python runs one thread at a time. More than one search at a time would finish no earlier, and the event loop would wait
for each of them in turn. How many characters may be searched or wait is bounded, for each caller and in total.
"""

import asyncio
import contextvars
import heapq
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

from security_common.tool_policy.errors import SearchQueueFull

__all__ = ["SearchQueue"]

Found = TypeVar("Found")

_IDLE_SECONDS = 30.0
"""How long the thread waits for another search before it ends."""


@dataclass(order=True, slots=True)
class _Search:
    """One search that waits for the thread. Searches are ordered by size, then by the order in which they came."""

    characters: int
    number: int
    caller: str = field(compare=False)
    search: Callable[[], Any] = field(compare=False)
    future: "Future[Any]" = field(compare=False)


class SearchQueue:
    """The queue of one process. Its thread starts with the first search and ends when it has nothing to do.

    `is_loop_held` is whether a large search is being prepared on the event loop at this moment.
    """

    def __init__(self, *, max_characters: int, max_characters_of_caller: int) -> None:
        self._max_characters = max_characters
        self._max_characters_of_caller = max_characters_of_caller
        self._characters = 0
        self._characters_of_callers: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._one_search = threading.RLock()  # reentrant: data that is searched can call a secured function itself
        self._waiting: list[_Search] = []
        self._numbers = count()
        self._thread: threading.Thread | None = None
        self.is_loop_held = False

    async def wait_for_loop(self) -> None:
        """Waits while a large search is being prepared on the event loop, so that sixteen at once do not add up."""
        while self.is_loop_held:  # noqa: ASYNC110 - an event belongs to one loop, and a process can have several
            await asyncio.sleep(0)

    async def run(self, search: Callable[[], Found], *, characters: int, caller: str) -> Found:
        """The result of `search`, which runs in the thread of this queue. Raises SearchQueueFull, and what it raises.

        `characters` is the size of the data. `caller` names the person whose searches are counted together.
        """
        self.is_loop_held = True
        asyncio.get_running_loop().call_soon(self._free_loop)
        # No local variable may refer to the future: this frame is part of the traceback of the exception in it.
        return await self._submit(search, characters, caller)

    def _free_loop(self) -> None:
        self.is_loop_held = False

    def _submit(self, search: Callable[[], Found], characters: int, caller: str) -> "asyncio.Future[Found]":
        context = contextvars.copy_context()
        future: Future[Found] = Future()
        with self._changed:
            self._admit(characters, caller)
            number = next(self._numbers)
            heapq.heappush(self._waiting, _Search(characters, number, caller, partial(context.run, search), future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="personal-data-search", daemon=True)
                self._thread.start()
            self._changed.notify()
        return asyncio.wrap_future(future)

    def run_blocking(self, search: Callable[[], Found], *, characters: int, caller: str) -> Found:
        """The result of `search`, which runs in this thread. Raises SearchQueueFull, and what it raises."""
        with self._changed:
            self._admit(characters, caller)
        # A function that is called on an event loop must not wait there for the searches of others.
        turn = nullcontext() if _is_on_event_loop() else self._one_search
        try:
            with turn:
                return search()
        finally:
            self._release_characters(characters, caller)

    def _admit(self, characters: int, caller: str) -> None:
        caller_characters = self._characters_of_callers[caller] + characters
        if self._characters + characters > self._max_characters or caller_characters > self._max_characters_of_caller:
            raise SearchQueueFull
        self._characters += characters
        self._characters_of_callers[caller] = caller_characters

    def _release(self, search: _Search) -> None:
        """Before the waiting call goes on: its next search must not find this one still counted."""
        self._release_characters(search.characters, search.caller)

    def _release_characters(self, characters: int, caller: str) -> None:
        with self._changed:
            self._characters -= characters
            self._characters_of_callers[caller] -= characters
            if not self._characters_of_callers[caller]:
                del self._characters_of_callers[caller]

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, timeout=_IDLE_SECONDS):
                    self._thread = None
                    return
                shortest = heapq.heappop(self._waiting)
            if shortest.future.set_running_or_notify_cancel():
                try:
                    with self._one_search:
                        found = shortest.search()
                except BaseException as failure:  # noqa: BLE001 - the waiting call raises it
                    self._release(shortest)
                    shortest.future.set_exception(failure)
                else:
                    self._release(shortest)
                    shortest.future.set_result(found)
                    del found
            else:
                # It was cancelled, and is counted until now because it kept its data in memory.
                self._release(shortest)
            # While this thread waits, it must not keep the data of the last search in memory. And the traceback of an
            # exception leads to this frame, so the frame must not lead to the future that has the exception.
            del shortest


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
