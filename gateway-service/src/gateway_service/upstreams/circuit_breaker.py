"""Refuses calls at once while an upstream does not answer, and limits how many calls are in progress.

A caller can make some calls fail: with input on which a tool takes too long, or on which its program ends. Such outages
count for this caller alone. For all callers count those that no caller can cause: the upstream accepts no connection,
says itself that it is not available, or has left the calls of several callers without an answer.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from gateway_service.upstreams.errors import UpstreamBusy, UpstreamFailure, UpstreamTimeout, UpstreamUnavailable

__all__ = ["CircuitBreaker"]

MAX_FAILURES = 5
MAX_UNANSWERED_CALLERS = 3
OPEN_SECONDS = 10.0
MAX_CALLERS = 1000
"""How many callers with outages are known at the same time."""
MAX_CALLS_PER_FREE_SLOT = 7
"""With seven calls for each free slot, one caller can use seven eighths of them."""


class _Circuit:
    """Outages in a row: open after five, for ten seconds; then one call at a time tries whether there is an answer."""

    def __init__(self) -> None:
        self.failures = 0
        self.refuses_until = 0.0

    @property
    def is_open(self) -> bool:
        return self.failures >= MAX_FAILURES

    def count_outage(self, now: float) -> None:
        self.failures += 1
        if self.is_open:
            self.refuses_until = now + OPEN_SECONDS

    def open(self, now: float) -> None:
        self.failures = MAX_FAILURES
        self.refuses_until = now + OPEN_SECONDS


class CircuitBreaker:
    """Counts outages for each caller and for all. A caller can also not use all slots for calls."""

    def __init__(
        self, upstream: str, *, max_in_flight: int, trial_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`trial_seconds` is how long others wait for a call that tries. After that, another one may try."""
        self._upstream = upstream
        self._max_in_flight = max_in_flight
        self._trial_seconds = trial_seconds
        self._clock = clock
        self._for_all = _Circuit()
        self._for_callers: OrderedDict[str, _Circuit] = OrderedDict()
        self._unanswered: set[str] = set()
        """The callers whose calls had no answer in time since the upstream has last answered anyone."""
        self._calls: Counter[str] = Counter()
        self.in_flight = 0

    @property
    def is_open(self) -> bool:
        """Whether the calls of all callers are refused at present, except for one that tries."""
        return self._for_all.is_open

    @contextmanager
    def call(self, owner: str = "") -> Generator[None]:
        """Runs one call of this caller; without one, a call of the gateway itself.

        Raises `UpstreamUnavailable` or `UpstreamBusy` instead if it may not begin.
        """
        self._require_slot(owner)
        tried = self._begin_trial(owner)
        self._calls[owner] += 1
        self.in_flight += 1
        try:
            yield
        except UpstreamFailure as failure:
            if failure.is_outage:
                self._count_outage(owner, failure)
                tried = ()
            elif failure.was_asked:
                self._note_answer(owner)
            raise
        else:
            self._note_answer(owner)
        finally:
            self.in_flight -= 1
            self._calls[owner] -= 1
            if not self._calls[owner]:
                del self._calls[owner]
            for circuit in tried:  # which is closed, or the trial has shown nothing
                circuit.refuses_until = 0.0

    def _require_slot(self, owner: str) -> None:
        free = self._max_in_flight - self.in_flight
        if free <= 0:
            raise UpstreamBusy(f"{self._upstream} has too many calls in progress", hint="try again in a moment")
        if owner and self._calls[owner] >= MAX_CALLS_PER_FREE_SLOT * free:
            hint = "wait until one of them has ended"
            raise UpstreamBusy(f"{self._upstream} has too many calls of this caller in progress", hint=hint)

    def _begin_trial(self, owner: str) -> Sequence[_Circuit]:
        """The open circuits that the call tries. Raises `UpstreamUnavailable` while one of them refuses calls."""
        own = self._for_callers.get(owner)
        if own is None and not self._for_all.is_open:
            return ()
        opened = [circuit for circuit in (self._for_all, own) if circuit is not None and circuit.is_open]
        now = self._clock()
        wait_seconds = max((circuit.refuses_until - now for circuit in opened), default=0.0)
        if wait_seconds > 0:
            raise UpstreamUnavailable.named(self._upstream, retry_seconds=max(1, round(wait_seconds)))
        for circuit in opened:
            circuit.refuses_until = now + self._trial_seconds
        return opened

    def _count_outage(self, owner: str, failure: UpstreamFailure) -> None:
        now = self._clock()
        if failure.affects_all:
            self._for_all.count_outage(now)
            return
        own = self._for_callers.pop(owner, None) or _Circuit()
        own.count_outage(now)
        self._for_callers[owner] = own
        if len(self._for_callers) > MAX_CALLERS:
            self._for_callers.popitem(last=False)
        if isinstance(failure, UpstreamTimeout):
            self._unanswered.add(owner)
            if len(self._unanswered) >= MAX_UNANSWERED_CALLERS:
                self._for_all.open(now)

    def _note_answer(self, owner: str) -> None:
        self._for_all.failures = 0
        self._for_callers.pop(owner, None)
        self._unanswered.clear()
