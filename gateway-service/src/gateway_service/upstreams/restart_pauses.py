"""How soon a program may be started again that has ended although it was not asked to."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway_service.upstreams.errors import UpstreamPaused

__all__ = ["RestartPauses"]

MAX_PAUSE_SECONDS = 60.0
FORGOTTEN_AFTER_SECONDS = 120.0
MAX_OWNERS = 1000


@dataclass(slots=True)
class _Failures:
    count: int
    last: float

    @property
    def pause_seconds(self) -> float:
        """0 after the first failure, then 1, 2, 4 … seconds."""
        return 0.0 if self.count <= 1 else min(2.0 ** (self.count - 2), MAX_PAUSE_SECONDS)


class RestartPauses:
    """Counts the failures for each caller, so that the program of one caller does not affect the others."""

    def __init__(self, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def count(self, owner: str) -> None:
        """Notes that the program of this caller has ended, or could not be started."""
        now = self._clock()
        failures = self._failures.pop(owner, None)
        if failures is None or now - failures.last > FORGOTTEN_AFTER_SECONDS:
            failures = _Failures(0, now)
        failures.count += 1
        failures.last = now
        self._failures[owner] = failures
        if len(self._failures) > MAX_OWNERS:
            self._failures.popitem(last=False)

    def require_allowed(self, owner: str) -> None:
        """Raises `UpstreamPaused` while the program of this caller is not started."""
        failures = self._failures.get(owner)
        if failures is not None:
            remaining = failures.last + failures.pause_seconds - self._clock()
            if remaining > 0:
                raise UpstreamPaused.named(self._upstream, retry_seconds=max(1, round(remaining)))
