"""Asks the upstreams for their definitions, in the background."""

import asyncio
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from random import SystemRandom

import structlog

from gateway_service.catalogue.catalogue import Catalogue
from gateway_service.catalogue.change_events import ChangeEvents
from gateway_service.catalogue.fetching import fetch_definitions
from gateway_service.catalogue.offered_components import OfferedComponents
from gateway_service.upstreams import Upstream
from gateway_service.upstreams.transport import ListChangeHandler
from security_common.audit import JournalUnavailable
from security_common.errors import SecurityError
from security_common.task_cancellation import cancel_tasks

__all__ = ["CatalogueRefresh", "ChangePause"]

FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
MIN_PAUSE_SECONDS = 1.0
CALM_PAUSES = 10
"""After so many pauses without a report of a change, the next one is answered soon again."""
JITTER = 0.1

_RANDOM = SystemRandom()  # unlike the module's functions, it has no state that all threads of the process share

log = structlog.get_logger("gateway_service")


class ChangePause:
    """How long an upstream that reports a change has to wait until it is asked: longer, the more often it reports."""

    def __init__(self, max_seconds: float) -> None:
        self.seconds = MIN_PAUSE_SECONDS
        self._max_seconds = max(max_seconds, MIN_PAUSE_SECONDS)

    def note(self, waited_seconds: float, *, is_reported: bool) -> None:
        """Counts one pause. `is_reported` is whether the upstream has reported a change in it."""
        if not is_reported or waited_seconds > CALM_PAUSES * self.seconds:
            self.seconds = MIN_PAUSE_SECONDS
        else:
            self.seconds = min(2 * self.seconds, self._max_seconds)


class CatalogueRefresh:
    """Requests the definitions of each upstream in a task of its own, at most once a second.

    That is every `interval_seconds`, sooner while the upstream does not answer, and when it reports that a list has
    changed. An upstream that reports changes all the time is asked after longer and longer pauses.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        upstreams: Sequence[Upstream],
        *,
        interval_seconds: float,
        events: ChangeEvents | None = None,
        components: OfferedComponents | None = None,
    ) -> None:
        """`events` records differences from what was approved. Without `components`, only tools are kept fresh."""
        self._catalogue = catalogue
        self._components = components
        self._upstreams = upstreams
        self._interval_seconds = interval_seconds
        self._events = events
        self._tasks: list[asyncio.Task[None]] = []
        self._requested: dict[str, asyncio.Event] = {}
        self._handlers: list[tuple[Upstream, ListChangeHandler]] = []
        self.problems: dict[str, SecurityError] = {}
        """What the last attempt failed with, by upstream."""
        self.reached: set[str] = set()
        """The upstreams that have answered since the start."""

    def start(self) -> None:
        """Starts the tasks; returns at once, so that the gateway starts without its upstreams."""
        for upstream in self._upstreams:
            requested = asyncio.Event()
            self._requested[upstream.name] = requested
            handler = partial(_request, requested)
            upstream.watch_list_changes(handler)
            self._handlers.append((upstream, handler))
        self._tasks = [
            asyncio.create_task(self._keep_fresh(upstream), name=f"refresh-{upstream.name}")
            for upstream in self._upstreams
        ]

    async def stop(self) -> None:
        """Ends the tasks."""
        for upstream, handler in self._handlers:
            upstream.stop_watching(handler)
        self._handlers.clear()
        tasks, self._tasks = self._tasks, []
        await cancel_tasks(*tasks)

    def continue_from(self, previous: "CatalogueRefresh") -> None:
        """Takes over which upstreams have answered."""
        names = {upstream.name for upstream in self._upstreams}
        self.reached |= previous.reached & names
        self.problems |= {name: each for name, each in previous.problems.items() if name in names}

    async def refresh(self, upstream: Upstream) -> None:
        """Asks for the definitions now. Raises `SecurityError`; what was known before stays then."""
        not_approved = self._catalogue.source_problem(upstream.name)
        await self._record_source(upstream.name, is_approved=not_approved is None or not not_approved.difference)
        try:
            if not_approved is not None:
                raise not_approved
            offered = await fetch_definitions(upstream)
        except SecurityError as failure:
            self._note(upstream, failure)
            raise
        # Thousands of definitions may have to be compared, which would hold the event loop for too long.
        tools = await asyncio.to_thread(self._catalogue.prepare, upstream.name, offered)
        earlier = self._notices(upstream.name)
        if self._components is not None:
            found = await asyncio.to_thread(self._components.prepare, upstream.name, offered)
            self._components.publish(upstream.name, found)
        self._catalogue.publish(tools)
        notices = self._notices(upstream.name)
        if notices != earlier:
            log.warning("upstream_definitions_differ", upstream=upstream.name, notices=list(notices))
        self._note(upstream, None)
        if self._events is not None:
            with _unrecorded_is_logged(upstream.name):
                await self._events.record(upstream.name, tools.changes)

    async def _record_source(self, upstream: str, *, is_approved: bool) -> None:
        if self._events is not None:
            with _unrecorded_is_logged(upstream):
                await self._events.record_source(upstream, is_approved=is_approved)

    def _notices(self, upstream: str) -> tuple[str, ...]:
        component_notices = self._components.notices(upstream) if self._components is not None else ()
        return (*self._catalogue.notices(upstream), *component_notices)

    def _note(self, upstream: Upstream, problem: SecurityError | None) -> None:
        """Logs when the result changes."""
        earlier = self.problems.pop(upstream.name, None)
        if problem is not None:
            self.problems[upstream.name] = problem
            if earlier is None or earlier.error != problem.error:
                log.warning("upstream_not_listed", upstream=upstream.name, cause=str(problem))
            return
        if earlier is not None or upstream.name not in self.reached:
            log.info("upstream_listed", upstream=upstream.name)
        self.reached.add(upstream.name)

    async def _keep_fresh(self, upstream: Upstream) -> None:
        retry_seconds = FIRST_RETRY_SECONDS
        change_pause = ChangePause(self._interval_seconds)
        while True:
            self._requested[upstream.name].clear()
            try:
                await self.refresh(upstream)
                pause_seconds, retry_seconds = self._interval_seconds, FIRST_RETRY_SECONDS
            except SecurityError:
                pause_seconds = retry_seconds
                retry_seconds = min(2 * retry_seconds, MAX_RETRY_SECONDS)
            except Exception as failure:  # a defect must not end the refresh of this upstream
                log.exception("refresh_failed", upstream=upstream.name, cause=type(failure).__name__)
                pause_seconds = MAX_RETRY_SECONDS
            await self._pause(upstream, pause_seconds * _RANDOM.uniform(1 - JITTER, 1 + JITTER), change_pause)

    async def _pause(self, upstream: Upstream, seconds: float, change_pause: ChangePause) -> None:
        """Waits, or until the upstream reports that a list has changed, but not less than the pause for that."""
        began = time.monotonic()
        least_seconds = min(seconds, change_pause.seconds)
        await asyncio.sleep(least_seconds)
        try:
            async with asyncio.timeout(seconds - least_seconds):
                await self._requested[upstream.name].wait()
        except TimeoutError:
            pass
        change_pause.note(time.monotonic() - began, is_reported=self._requested[upstream.name].is_set())


@contextmanager
def _unrecorded_is_logged(upstream: str) -> Generator[None]:
    """Logs that an event could not be written. It is written with the next refresh."""
    try:
        yield
    except JournalUnavailable as failure:
        log.warning("definition_changes_not_recorded", upstream=upstream, cause=failure.description)


def _request(requested: asyncio.Event, _method: str) -> None:
    requested.set()
