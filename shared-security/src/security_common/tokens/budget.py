"""A token bucket: so many at once, then one every so often. For what strangers can make us do."""

from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """`burst` at once, then one each `refill_seconds`; a clock that jumps back starts it full again."""

    def __init__(self, *, burst: int, refill_seconds: float, clock: Callable[[], float]) -> None:
        self._burst = float(burst)
        self._refill_seconds = refill_seconds
        self._clock = clock
        self._left = self._burst
        self._seen_at = clock()

    def take(self) -> bool:
        """Whether one more is allowed now; takes it if so."""
        now = self._clock()
        gained = (now - self._seen_at) / self._refill_seconds
        self._left = self._burst if gained < 0 else min(self._burst, self._left + gained)
        self._seen_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
