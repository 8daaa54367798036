"""Event counts over time, and their stacked bar charts as geometry that the template draws as SVG."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from security_common.audit import Outcome
from security_common.audit.event_index.index_reports import EventCount
from security_common.audit.reading.alerts import is_alert

__all__ = ["BUCKETS", "Bar", "Chart", "Mark", "Row", "Series", "count_events", "draw_chart"]

BUCKETS = 48
NAMED_SERIES = 6
# In view box units. A chart is about 540 pixels wide on a screen and 320 on a phone, where its texts must be readable.
WIDTH, HEIGHT = 440, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 10, 26
GAP = 1.5
TIME_MARKS = 4


@dataclass(frozen=True, slots=True)
class Series:
    """The count of one name in each time bucket."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle in view box units: `count` events of `name` in the bucket from `at` to `until`.

    `tone` selects its colour.
    """

    x: float
    y: float
    width: float
    height: float
    tone: int
    name: str
    count: int
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One bucket that has events, as text: the counts of the series, in the order of the legend."""

    at: datetime
    until: datetime
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of an axis; `position` is in view box units."""

    position: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The geometry of one chart. `legend` contains name, tone and total of each series."""

    width: ClassVar = WIDTH
    height: ClassVar = HEIGHT
    left: ClassVar = LEFT
    right: ClassVar = WIDTH - RIGHT
    key: str
    bars: tuple[Bar, ...]
    levels: tuple[Mark, ...]
    times: tuple[Mark, ...]
    legend: tuple[tuple[str, int, int], ...]
    rows: tuple[Row, ...]
    total: int


def count_events(counts: Iterable[EventCount]) -> Mapping[str, tuple[Series, ...]]:
    """Returns the series of the four charts, the largest first. The counts are those of `BUCKETS` parts of a period."""
    outcomes, reasons, kinds, clients = _Counts(), _Counts(), _Counts(), _Counts()
    for each in counts:
        event = each.event
        outcomes.add(str(Outcome.ALERT if is_alert(event) else event.outcome), each.part, each.count)
        if event.outcome is Outcome.REFUSED:
            reasons.add(event.reason or event.event_type, each.part, each.count)
        if event.client_id:
            clients.add(event.client_id, each.part, each.count)
        for kind, findings in event.pii_kinds.items():
            kinds.add(kind, each.part, findings * each.count)
    return {
        # In a fixed order, so that each outcome always has the same colour.
        "outcomes": tuple(outcomes.series(str(outcome)) for outcome in Outcome),
        "reasons": reasons.largest(),
        "kinds": kinds.largest(),
        "clients": clients.largest(),
    }


class _Counts:
    """Counts by name and bucket."""

    def __init__(self) -> None:
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)

    def add(self, name: str, bucket: int, count: int) -> None:
        self._buckets[name][bucket] += count

    def series(self, name: str) -> Series:
        return Series(name, tuple(self._buckets[name]))

    def largest(self) -> tuple[Series, ...]:
        """Returns the largest series by name, and the sum of all others as one."""
        ranked = sorted(self._buckets, key=lambda name: -sum(self._buckets[name]))
        largest = tuple(self.series(name) for name in ranked[:NAMED_SERIES])
        others = [self._buckets[name] for name in ranked[NAMED_SERIES:]]
        if not others:
            return largest
        return (*largest, Series("…", tuple(sum(column) for column in zip(*others, strict=True))))


def draw_chart(key: str, series: Sequence[Series], *, since: datetime, until: datetime, zone: ZoneInfo) -> Chart:
    """Returns a chart with the series stacked from the bottom up. Its time axis is in `zone`."""
    columns = zip(*(each.counts for each in series), strict=True)
    top = _round_up(max((sum(column) for column in columns), default=0))
    plot_height = HEIGHT - TOP - BOTTOM
    plot_width = WIDTH - LEFT - RIGHT
    levels = (
        Mark(round(HEIGHT - BOTTOM - plot_height * level / top, 2), f"{level:,}")
        for level in range(0, top + 1, top // 4)
    )
    bars: list[Bar] = []
    rows: list[Row] = []
    for bucket in range(BUCKETS):
        begins, ends = (since + (until - since) * edge / BUCKETS for edge in (bucket, bucket + 1))
        bars += _stack(series, bucket, top, at=begins, until=ends)
        counts = tuple(each.counts[bucket] for each in series)
        if any(counts):
            rows.append(Row(begins, ends, counts))
    return Chart(
        key=key,
        bars=tuple(bars),
        levels=tuple(levels),
        times=_time_marks(since, until, plot_width, zone),
        legend=tuple((each.name, tone, sum(each.counts)) for tone, each in enumerate(series)),
        rows=tuple(rows),
        total=sum(sum(each.counts) for each in series),
    )


def _stack(series: Sequence[Series], bucket: int, top: int, *, at: datetime, until: datetime) -> list[Bar]:
    """Returns the bars of one bucket."""
    step = (WIDTH - LEFT - RIGHT) / BUCKETS
    y = float(HEIGHT - BOTTOM)
    bars: list[Bar] = []
    for tone, each in enumerate(series):
        count = each.counts[bucket]
        if not count:
            continue
        height = (HEIGHT - TOP - BOTTOM) * count / top
        y -= height
        bars.append(
            Bar(
                x=round(LEFT + bucket * step, 2),
                y=round(y, 2),
                width=round(step - GAP, 2),
                height=round(height, 2),
                tone=tone,
                name=each.name,
                count=count,
                at=at,
                until=until,
            )
        )
    return bars


def _round_up(count: int) -> int:
    """Returns the smallest of 4, 8, 20, 40, 80, 200 … that is not below `count`; its quarters are integers."""
    power_of_ten = 1
    while True:
        for factor in (4, 8, 20):
            if count <= factor * power_of_ten:
                return factor * power_of_ten
        power_of_ten *= 10


def _time_marks(since: datetime, until: datetime, plot_width: int, zone: ZoneInfo) -> tuple[Mark, ...]:
    time_format = "%m-%d" if (until - since).days > 1 else "%H:%M"
    step = (until - since) / TIME_MARKS
    return tuple(
        Mark(
            position=round(LEFT + plot_width * index / TIME_MARKS, 2),
            text=f"{(since + step * index).astimezone(zone):{time_format}}",
        )
        for index in range(TIME_MARKS + 1)
    )
