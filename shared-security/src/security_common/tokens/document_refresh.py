"""Keeps one document of an issuer current: its fetches run one at a time, in the background, on a schedule.

After a success, the next fetch is due after 80 % of the time that the document is fresh. After a failure, it is due
after a delay that doubles with every failure, and the entity tag is discarded.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from security_common.errors import SecurityError

__all__ = ["OUTCOMES", "DocumentRefresh", "FetchedDocument"]

OUTCOMES: Final = ("fetched", "unchanged", "failed")
REFRESH_AFTER_SHARE: Final = 0.8
MIN_RETRY_SECONDS: Final = 1.0
MAX_DOUBLINGS: Final = 10


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDocument:
    """The result of a fetch whose content is in use. `is_unchanged`: the server confirmed the known content (304)."""

    is_unchanged: bool
    etag: str | None
    fresh_seconds: float


class DocumentRefresh:
    """The fetches of one document.

    `fetch` gets the entity tag of the known content, or None, and stores the new content; it raises `SecurityError` if
    there is none. `name` is the kind of the document in log events and `address` is in them, too. `clock` returns
    seconds since the epoch and `random_number` 0 to 1. `outcomes` counts the fetches.

    `problem` describes the present failure and how to fix it; it is empty if the last fetch succeeded.
    `fetched_at_seconds` is when the last successful fetch began: what changed later may be missing in its content.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[FetchedDocument]],
        *,
        name: str,
        address: str,
        clock: Callable[[], float],
        random_number: Callable[[], float],
        deadline_seconds: float,
        max_retry_seconds: float,
        outcomes: Counter[str],
    ) -> None:
        self.problem = ""
        self.failures = 0
        self.fetched_at_seconds = 0.0
        self.due_at_seconds = 0.0
        self._fetch = fetch
        self._name = name
        self._address = address
        self._clock = clock
        self._random_number = random_number
        self._deadline_seconds = deadline_seconds
        self._max_retry_seconds = max_retry_seconds
        self._outcomes = outcomes
        self._etag: str | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a fetch is in progress."""
        return self._running is not None and not self._running.done()

    def begin(self) -> asyncio.Task[None]:
        """Begins a fetch unless one is running, and returns its task, which never raises."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name=self._name)
        return self._running

    def begin_if_due(self, now: float) -> None:
        """Begins a fetch if one is due at `now` and none is running."""
        if now >= self.due_at_seconds:
            self.begin()

    async def close(self) -> None:
        """Cancels a running fetch."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        began_at_seconds = self._clock()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                fetched = await self._fetch(self._etag)
        except TimeoutError:
            self._note_failure(f"{self._address} took over {self._deadline_seconds:g} s")
        except SecurityError as error:
            self._note_failure(f"{error.description}: {error.hint}" if error.hint else error.description)
        except Exception as error:
            # An unexpected error of a library must not end the fetches. The known content stays in use.
            logger.exception("%s_unexpected_error address=%s", self._name, self._address)
            self._note_failure(f"{self._address} cannot be read ({type(error).__name__})")
        else:
            self._note_success(fetched, began_at_seconds)

    def _note_success(self, fetched: FetchedDocument, began_at_seconds: float) -> None:
        if self.failures:
            logger.info("%s_recovered address=%s", self._name, self._address)
        self._outcomes["unchanged" if fetched.is_unchanged else "fetched"] += 1
        self._etag = fetched.etag
        self.failures = 0
        self.problem = ""
        self.fetched_at_seconds = began_at_seconds
        # Up to a tenth earlier at random, so that replicas that were started together do not fetch together.
        share = REFRESH_AFTER_SHARE * (1 - self._random_number() / 10)
        self.due_at_seconds = began_at_seconds + fetched.fresh_seconds * share

    def _note_failure(self, problem: str) -> None:
        if problem != self.problem:
            logger.warning("%s_unavailable address=%s cause=%s", self._name, self._address, problem)
        self._outcomes["failed"] += 1
        self._etag = None
        self.failures += 1
        self.problem = problem
        delay = min(self._max_retry_seconds, MIN_RETRY_SECONDS * 2 ** min(self.failures - 1, MAX_DOUBLINGS))
        self.due_at_seconds = self._clock() + delay * (0.5 + self._random_number() / 2)
