"""Stacked bars over time, as geometry; the template draws them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from mcp_resource_service.audit_page.event_counts import BUCKETS, Series

__all__ = ["Bar", "Chart", "Mark", "draw"]

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 24
GAP = 2
TIME_MARKS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, in units of the view box; `tone` picks its colour. It stands for `count` of `name` at `at`."""

    x: float
    y: float
    width: float
    height: float
    tone: int
    name: str
    count: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on an axis, at `at` units."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template needs."""

    width: ClassVar = WIDTH
    height: ClassVar = HEIGHT
    left: ClassVar = LEFT
    right: ClassVar = WIDTH - RIGHT
    key: str
    bars: tuple[Bar, ...]
    levels: tuple[Mark, ...]
    times: tuple[Mark, ...]
    legend: tuple[tuple[str, int, int], ...]
    total: int


def draw(key: str, series: Sequence[Series], *, since: datetime, until: datetime, zone: ZoneInfo) -> Chart:
    """A chart of the series, stacked in their order from the bottom up; its axis shows the time in `zone`."""
    tallest = max((sum(column) for column in zip(*(each.counts for each in series), strict=True)), default=0)
    top = _round_up(tallest)
    plot_height, plot_width = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    step = plot_width / BUCKETS
    bars: list[Bar] = []
    for bucket in range(BUCKETS):
        floor = float(HEIGHT - BOTTOM)
        for tone, each in enumerate(series):
            if not (count := each.counts[bucket]):
                continue
            height = plot_height * count / top
            floor -= height
            x, y, width, high = (round(size, 2) for size in (LEFT + bucket * step, floor, step - GAP, height))
            bars.append(Bar(x, y, width, high, tone, each.name, count, since + (until - since) * bucket / BUCKETS))
    return Chart(
        key=key,
        bars=tuple(bars),
        levels=tuple(
            Mark(round(HEIGHT - BOTTOM - plot_height * level / top, 2), f"{level:,}")
            for level in range(0, top + 1, top // 4)
        ),
        times=_time_marks(since, until, plot_width, zone),
        legend=tuple((each.name, tone, sum(each.counts)) for tone, each in enumerate(series)),
        total=sum(sum(each.counts) for each in series),
    )


def _round_up(count: int) -> int:
    """The least of 4, 8, 20, 40, 80, 200 … that is enough: its quarters are whole numbers."""
    tops = (factor * 10**power for power in itertools.count() for factor in (4, 8, 20))
    return next(top for top in tops if count <= top)


def _time_marks(since: datetime, until: datetime, plot_width: int, zone: ZoneInfo) -> tuple[Mark, ...]:
    layout, step = "%m-%d" if (until - since).days > 1 else "%H:%M", (until - since) / TIME_MARKS
    return tuple(
        Mark(round(LEFT + plot_width * index / TIME_MARKS, 2), f"{(since + step * index).astimezone(zone):{layout}}")
        for index in range(TIME_MARKS + 1)
    )
