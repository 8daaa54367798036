"""The query string of the audit page: periods, months, times of the page's zone, and numbers of events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request

from mcp_resource_service.audit_page.alert_incidents import group_alerts
from mcp_resource_service.audit_page.trail_query import parse_query, recent_months, whole_seconds
from security_common.audit import EventType, Outcome, RecordedEvent

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # December in Seoul


def query_of(text):
    return parse_query(Request({"type": "http", "query_string": text.encode(), "headers": []}))


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("period=1h", NOW - timedelta(hours=1), NOW),
        ("period=nonsense", NOW - timedelta(hours=24), NOW),
        ("period=2026-13", NOW - timedelta(hours=24), NOW),
        ("period=2026-11", datetime(2026, 10, 31, 15, tzinfo=UTC), datetime(2026, 11, 30, 15, tzinfo=UTC)),
        ("since=2026-11-03T09:00", datetime(2026, 11, 3, tzinfo=UTC), NOW),
        ("since=2026-11-03&until=2026-11-04&period=1h", datetime(2026, 11, 2, 15, tzinfo=UTC), None),
        ("since=2026-02-30&until=x", NOW - timedelta(hours=24), NOW),
        ("since=2026-11-03T09:00:30&until=2026-11-03T09:00:00", datetime(2026, 11, 3, 0, 0, 30, tzinfo=UTC), None),
    ],
)
def test_the_span_of_a_query(text, since, until):
    shown = query_of(text).span(NOW, SEOUL)
    assert shown[0] == since
    assert shown[1] == until if until else shown[0] < shown[1]


def test_a_link_to_a_period_forgets_the_times_and_every_link_the_page():
    query = query_of("since=2026-11-03&until=2026-11-04&after=1-1&first=51&tool_name=x")
    assert query.first_number == 51
    assert query.link(period="7d") == "?language=en&period=7d&tool_name=x"
    assert "after" not in query.link()
    assert "first" not in query.link()


@pytest.mark.parametrize("first", ["", "0x1", "-3", "9" * 12, "٣٣٣٣٣٣٣٣٣٣"])
def test_the_first_number_is_one_unless_the_link_has_a_number(first):
    assert query_of(f"after=1-1&first={first}").first_number == 1
    assert query_of("first=51").first_number == 1


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_the_range_of_a_bar_contains_all_its_events(microsecond):
    begins = datetime(2026, 11, 3, 9, 0, 0, microsecond, tzinfo=UTC)
    ends = begins + timedelta(minutes=30)
    written = f"since={whole_seconds(begins, SEOUL)}&until={whole_seconds(ends, SEOUL, rounds_up=True)}"
    since, until = query_of(written).span(NOW, SEOUL)
    assert since <= begins < ends <= until


def test_months_are_those_of_the_time_zone():
    months = recent_months(NOW, SEOUL)
    assert (months[0], months[11], months[12], len(months)) == ("2026-12", "2026-01", "2025-12", 13)


def test_alerts_of_one_burst_are_one_incident():
    alert = RecordedEvent(
        event_type=EventType.SECURITY_ALERT,
        action_taken="alerted",
        outcome=Outcome.ALERT,
        reason="refusal_burst",
        alert={"about": "address", "name": "192.0.2.7", "count": 20, "since": "2026-11-03T09:00:00+00:00"},
        event_id="1",
        timestamp=NOW,
        service="mcp-resource-service",
        journal_id="j",
        seq=1,
        prev="",
        hash="",
    )
    later = replace(alert, event_id="2", action_taken="alert_continues", alert={**alert.alert, "count": 400})
    elsewhere = replace(alert, event_id="3", alert={**alert.alert, "name": "192.0.2.8"})
    old = [replace(alert, event_id=number, alert={}) for number in ("4", "5")]
    incidents = group_alerts([later, elsewhere, alert, *old])
    assert [(each.latest.event_id, each.alerts) for each in incidents] == [("2", 2), ("3", 1), ("4", 1), ("5", 1)]
