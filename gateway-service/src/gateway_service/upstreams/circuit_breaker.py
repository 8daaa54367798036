"""Refuses calls at once while an upstream does not answer, and limits how many calls are in progress."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from gateway_service.upstreams.errors import UpstreamBusy, UpstreamFailure, UpstreamUnavailable

__all__ = ["CircuitBreaker"]

MAX_FAILURES = 5
OPEN_SECONDS = 10.0


class CircuitBreaker:
    """Opens after five outages in a row, for ten seconds; then one call tries whether the upstream answers again."""

    def __init__(self, upstream: str, *, max_in_flight: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._is_being_tried = False
        self.in_flight = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused at present, except for the one that tries."""
        return self._failures >= MAX_FAILURES

    @contextmanager
    def call(self) -> Generator[None]:
        """Runs one call. Raises `UpstreamUnavailable` or `UpstreamBusy` instead if it may not begin."""
        is_trial = self._begin()
        self.in_flight += 1
        try:
            yield
        except UpstreamFailure as failure:
            if failure.is_outage:
                self._count_outage()
            elif failure.was_asked:
                self._failures = 0  # it has answered
            raise
        else:
            self._failures = 0
        finally:
            self.in_flight -= 1
            if is_trial:
                self._is_being_tried = False

    def _begin(self) -> bool:
        """Whether the call is the one that tries an upstream that did not answer."""
        if self.in_flight >= self._max_in_flight:
            raise UpstreamBusy(f"{self._upstream} has too many calls in progress", hint="try again in a moment")
        if not self.is_open:
            return False
        wait_seconds = self._open_until - self._clock()
        if wait_seconds > 0 or self._is_being_tried:
            raise UpstreamUnavailable.named(self._upstream, retry_seconds=max(1, round(wait_seconds)))
        self._is_being_tried = True
        return True

    def _count_outage(self) -> None:
        self._failures += 1
        if self.is_open:
            self._open_until = self._clock() + OPEN_SECONDS
