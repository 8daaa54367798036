"""The charts of the audit page: positions, counts and axis labels."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mcp_resource_service.audit_page.charts import BUCKETS, Series, draw_chart

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "zone", "first", "last"),
    [
        (24, "UTC", "00:00", "00:00"),
        (24, "Asia/Seoul", "09:00", "09:00"),
        (24, "Asia/Kathmandu", "05:45", "05:45"),
        (7 * 24, "America/New_York", "12-31", "01-07"),
    ],
)
def test_the_time_axis_has_labels_in_the_configured_time_zone(hours, zone, first, last):
    until = NEW_YEAR + timedelta(hours=hours)
    chart = draw_chart("outcomes", [], since=NEW_YEAR, until=until, zone=ZoneInfo(zone))
    assert (chart.times[0].text, chart.times[-1].text) == (first, last)


def test_the_time_zone_does_not_change_the_position_of_bars():
    counts = (1,) + (0,) * (BUCKETS - 2) + (3,)
    since, until = NEW_YEAR, NEW_YEAR + timedelta(hours=24)
    charts = [
        draw_chart("kinds", [Series("EMAIL", counts)], since=since, until=until, zone=ZoneInfo(zone))
        for zone in ("UTC", "Asia/Seoul")
    ]
    assert charts[0].bars == charts[1].bars
    assert [(bar.count, bar.at) for bar in charts[0].bars] == [(1, since), (3, until - timedelta(minutes=30))]
