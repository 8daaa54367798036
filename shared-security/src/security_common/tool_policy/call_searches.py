"""The searches of one call: on the event loop if the data is small, elsewhere if not, and again with placeholders.

    search on the event loop ── SearchTooLong ──▶ the same search in the thread of the search queue
                             ── PlaceholdersMissing ──▶ look-up in the store, then the same search from the start

A search that ends in one of these two exceptions is repeated, so what it has found does not count.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from security_common.tool_policy.call_placeholders import PlaceholdersMissing
from security_common.tool_policy.data_size import (
    LIMITS_OF_WALK,
    LIMITS_ON_EVENT_LOOP,
    SearchTooLong,
    WalkLimits,
    estimate_characters,
)
from security_common.tool_policy.leaf_protection import LeafProtector
from security_common.tool_policy.search_queue import SearchQueue

__all__ = ["CallSearches"]

Protected = TypeVar("Protected")


@dataclass(slots=True)
class _Search:
    """A search that has not ended. Its protectors become those of the call unless it is repeated."""

    limits: WalkLimits
    protectors: list[LeafProtector]


_search_in_progress: ContextVar[_Search | None] = ContextVar("search_in_progress", default=None)


class CallSearches:
    """Runs the searches of one call. `protectors` have what was found in them."""

    def __init__(self, queue: SearchQueue) -> None:
        self._queue = queue
        self.protectors: list[LeafProtector] = []

    async def run(self, owner: Callable[[], str], search: Callable[..., Protected], *values: Any) -> Protected:
        """What `search` returns for these values.

        `owner` is called after the first search, which may read the caller from the arguments. Raises SearchQueueFull,
        what `search` raises, and the errors of `WalkPlaceholders.look_up`.
        """
        while True:
            if self._queue.is_loop_held:
                await self._queue.wait_for_loop()
            try:
                try:
                    return self._run_within(LIMITS_ON_EVENT_LOOP, search, *values)
                except SearchTooLong:
                    pass
                return await self._run_in_thread(owner, search, *values)
            except PlaceholdersMissing as failure:
                missing = failure.placeholders
            await missing.look_up(owner())

    async def _run_in_thread(
        self, owner: Callable[[], str], search: Callable[..., Protected], *values: Any
    ) -> Protected:
        long_search = partial(self._run_within, LIMITS_OF_WALK, search, *values)
        return await self._queue.run(long_search, characters=estimate_characters(*values), caller=owner())

    def run_blocking(self, owner: Callable[[], str], search: Callable[..., Protected], *values: Any) -> Protected:
        """The same for a function that is not asynchronous, which has no placeholders. Blocks this thread."""
        try:
            return self._run_within(LIMITS_ON_EVENT_LOOP, search, *values)
        except SearchTooLong:
            pass
        long_search = partial(self._run_within, LIMITS_OF_WALK, search, *values)
        return self._queue.run_blocking(long_search, characters=estimate_characters(*values), caller=owner())

    def limits(self) -> WalkLimits:
        """The limits of a walk in the search that is in progress."""
        search = _search_in_progress.get()
        return search.limits if search else LIMITS_OF_WALK

    def add(self, protector: LeafProtector) -> None:
        """Counts what a protector finds, unless the search that it belongs to is repeated."""
        search = _search_in_progress.get()
        (search.protectors if search else self.protectors).append(protector)

    def _run_within(self, limits: WalkLimits, search: Callable[..., Protected], *values: Any) -> Protected:
        protectors: list[LeafProtector] = []
        reset = _search_in_progress.set(_Search(limits, protectors))
        try:
            return search(*values)
        except (SearchTooLong, PlaceholdersMissing):
            protectors.clear()
            raise
        finally:
            _search_in_progress.reset(reset)
            self.protectors += protectors
