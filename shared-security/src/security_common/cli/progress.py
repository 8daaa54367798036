"""Progress of a long command, written to stderr only if that is a terminal."""

import sys
import time

__all__ = ["Progress"]

BAR_WIDTH, REDRAW_SECONDS = 30, 0.1


class Progress:
    """A progress bar, or a count if the total is not known."""

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self.total = total
        self.done = 0
        self._drawn_at: float | None = None

    def advance(self, amount: int = 1) -> None:
        """Counts `amount` as done and redraws the bar if it is older than 0.1 seconds."""
        self.done += amount
        now = time.monotonic()
        is_due = self._drawn_at is None or now - self._drawn_at > REDRAW_SECONDS
        if is_due and sys.stderr.isatty():
            self._drawn_at = now
            sys.stderr.write(f"\r\x1b[K{self._what} {self._state()}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Removes the bar, at the end or before other output."""
        if self._drawn_at is not None:
            self._drawn_at = None
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _state(self) -> str:
        if not self.total:
            return f"{self.done:,}"
        share = min(1.0, self.done / self.total)
        return f"[{'#' * round(share * BAR_WIDTH):<{BAR_WIDTH}}] {share:4.0%}"
