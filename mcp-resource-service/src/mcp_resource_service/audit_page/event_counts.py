"""Events counted into buckets of time, for the charts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.alerts import is_alert

__all__ = ["Series", "count_figures"]

BUCKETS = 48
LARGEST = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One name's count in each bucket."""

    name: str
    counts: tuple[int, ...]


def count_figures(
    events: Iterable[RecordedEvent], *, since: datetime, until: datetime
) -> Mapping[str, tuple[Series, ...]]:
    """The four charts' series, the largest first; each bucket is `(until - since) / BUCKETS` long."""
    outcomes, reasons, kinds, clients = (_Counts() for _ in range(4))
    width = (until - since) / BUCKETS
    for event in events:
        bucket = min(BUCKETS - 1, max(0, int((event.timestamp - since) / width)))
        outcomes.add(str(Outcome.ALERT if is_alert(event) else event.outcome), bucket)
        if event.outcome is Outcome.REFUSED:
            reasons.add(event.reason or event.event_type, bucket)
        if event.client_id:
            clients.add(event.client_id, bucket)
        for kind, count in event.pii_kinds.items():
            kinds.add(kind, bucket, count)
    return {
        # In a fixed order, so that each outcome keeps its colour.
        "outcomes": tuple(outcomes.series(str(outcome)) for outcome in Outcome),
        "reasons": reasons.largest(),
        "kinds": kinds.largest(),
        "clients": clients.largest(),
    }


class _Counts:
    def __init__(self) -> None:
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)

    def add(self, name: str, bucket: int, count: int = 1) -> None:
        self._buckets[name][bucket] += count

    def series(self, name: str) -> Series:
        return Series(name, tuple(self._buckets[name]))

    def largest(self) -> tuple[Series, ...]:
        """The largest ones by name, and all others as one."""
        ranked = sorted(self._buckets, key=lambda name: -sum(self._buckets[name]))
        shown = tuple(self.series(name) for name in ranked[:LARGEST])
        rest = [self._buckets[name] for name in ranked[LARGEST:]]
        return (*shown, Series("…", tuple(map(sum, zip(*rest, strict=True))))) if rest else shown
