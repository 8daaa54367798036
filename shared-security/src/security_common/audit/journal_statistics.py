"""What one journal has recorded and shipped since the process started, for metrics."""

import math
import time
from collections import Counter
from collections.abc import Callable

from security_common.audit.event import AuditEvent

__all__ = ["MAX_TOOLS", "OTHER_TOOLS", "JournalStatistics"]

MAX_TOOLS = 500
OTHER_TOOLS = "other"


class JournalStatistics:
    """Counts and times. `clock` returns seconds since the epoch.

    `events` are counted by event type and outcome, and those about a tool also in `tool_events`, by its name and the
    outcome; after 500 tools the others are counted together.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.events: Counter[tuple[str, str]] = Counter()
        self.tool_events: Counter[tuple[str, str]] = Counter()
        self.unshipped_events = 0
        self._clock = clock
        self._tools: set[str] = set()
        self._all_shipped_at: float | None = None
        self._checkpoint_at = math.nan

    def count(self, event: AuditEvent) -> None:
        """Counts an event that is recorded."""
        self.events[event.event_type, event.outcome] += 1
        if event.tool_name is None:
            return
        if event.tool_name not in self._tools and len(self._tools) < MAX_TOOLS:
            self._tools.add(event.tool_name)
        tool = event.tool_name if event.tool_name in self._tools else OTHER_TOOLS
        self.tool_events[tool, event.outcome] += 1

    def note_shipping(self, unshipped_events: int) -> None:
        """Notes how many lines of the journal Redis does not have after an attempt to ship them."""
        if unshipped_events == 0 or self._all_shipped_at is None:
            self._all_shipped_at = self._clock()
        self.unshipped_events = unshipped_events

    def note_checkpoint(self) -> None:
        """Notes that a checkpoint was signed."""
        self._checkpoint_at = self._clock()

    @property
    def shipping_lag_seconds(self) -> float:
        """The time since Redis had every line; 0 while it has them, NaN without Redis."""
        if self._all_shipped_at is None:
            return math.nan
        return self._clock() - self._all_shipped_at if self.unshipped_events else 0.0

    @property
    def checkpoint_age_seconds(self) -> float:
        """The time since this process signed its last checkpoint; NaN before the first."""
        return self._clock() - self._checkpoint_at
