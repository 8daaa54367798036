"""Progress of a long command, on stderr and only while a terminal looks on."""

import sys
import time

__all__ = ["Progress"]

BAR_WIDTH, REDRAW_SECONDS = 30, 0.1


class Progress:
    """A bar; a running count where the total is not known."""

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self.total = total
        self.done = 0
        self._drawn_at: float | None = None

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if (self._drawn_at is None or now - self._drawn_at > REDRAW_SECONDS) and sys.stderr.isatty():
            self._drawn_at = now
            sys.stderr.write(f"\r\x1b[K{self._what} {self._shown()}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Takes the bar away, at the end or before other output."""
        if self._drawn_at is not None:
            self._drawn_at = None
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _shown(self) -> str:
        if not self.total:
            return f"{self.done:,}"
        part = min(1.0, self.done / self.total)
        return f"[{'#' * round(part * BAR_WIDTH):<{BAR_WIDTH}}] {part:4.0%}"
