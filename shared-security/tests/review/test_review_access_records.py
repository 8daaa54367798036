"""The monthly review counts accesses to personal data the way a reviewer reads them, in both languages."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from security_common.journal import Outcome, RecordedEvent
from security_common.review.access_records import AccessReview, Month
from security_common.review.export import COLUMNS, FORMATS

SEOUL = timezone(timedelta(hours=9))
NOVEMBER = Month.parse("2026-11", SEOUL)


def access(moment: datetime, **members) -> RecordedEvent:
    told = {
        "user_id": "u_1",
        "source_address": "192.0.2.1",
        "subject_reference": "s-1",
        "task": "view",
        "contains_pii": True,
        "event_type": "tool_call",
        "outcome": Outcome.SUCCESS,
    }
    return RecordedEvent(
        **(told | members),
        action_taken="executed",
        timestamp=moment.astimezone(UTC),
        event_id="e",
        journal_id="j",
        seq=1,
        prev="",
        hash="",
        service="tests",
    )


def review(*events: RecordedEvent) -> AccessReview:
    found = AccessReview(NOVEMBER)
    for event in events:
        found.add(event)
    return found


def test_a_month_is_the_reviewers():
    assert NOVEMBER.since == datetime(2026, 10, 31, 15, tzinfo=UTC)
    assert Month.parse("2026-12", SEOUL).until == datetime(2026, 12, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026", "2026-13", "11-2026", ""])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError):
        Month.parse(text, SEOUL)


def test_only_accesses_to_personal_data_count():
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    found = review(
        access(day),
        access(day, user_id=None),
        access(day, contains_pii=False, subject_reference=None),
        access(day, contains_pii=False),
    )
    assert found.accesses == 2


@pytest.mark.parametrize(
    ("moment", "unusual"),
    [
        (datetime(2026, 11, 23, 7, tzinfo=SEOUL), 0),
        (datetime(2026, 11, 23, 20, 59, tzinfo=SEOUL), 0),
        (datetime(2026, 11, 23, 21, tzinfo=SEOUL), 1),
        (datetime(2026, 11, 23, 6, 59, tzinfo=SEOUL), 1),
        (datetime(2026, 11, 22, 12, tzinfo=SEOUL), 1),
    ],
)
def test_what_is_outside_working_hours_stands_out(moment, unusual):
    assert review(access(moment)).people["u_1"].unusual_hours == unusual


def test_what_the_law_asks_for_and_is_missing_is_counted():
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    assert review(access(day), access(day, source_address=None), access(day, subject_reference=None)).incomplete == 2


@pytest.mark.parametrize(("language", "word"), [("ko", "접속기록 점검표"), ("en", "Monthly review")])
def test_the_sheet_lists_people_downloads_and_alerts(language, word):
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    sheet = review(
        access(day, task="download", tool_name="export|all", reason="<b>"),
        access(day, event_type="security_alert", reason="many_subjects"),
    ).as_markdown(language)
    assert word in sheet
    assert "| u_1 | 1 | 1 | 0 | 0 | 192.0.2.1 |" in sheet
    assert "| 11-23 10:00 | u_1 | export\\|all | &lt;b> |" in sheet
    assert "| many_subjects | 1 |" in sheet
    assert "$" not in sheet


def test_a_spreadsheet_gets_no_formula():
    row = FORMATS["csv"](access(datetime.now(UTC), user_id='=HYPERLINK("x")'))
    assert "'=HYPERLINK" in row
    assert len(COLUMNS) == row.count(",") + 1


def test_other_formats_keep_who_when_and_what():
    event = access(datetime(2026, 11, 23, tzinfo=UTC), tool_name="get_user_info", outcome=Outcome.REFUSED)
    cloud, ocsf = (json.loads(FORMATS[name](event)) for name in ("cloudevents", "ocsf"))
    assert (cloud["specversion"], cloud["id"], cloud["source"]) == ("1.0", "e", "urn:mcp-oauth2:journal:j")
    assert (ocsf["class_uid"], ocsf["type_uid"], ocsf["status_id"]) == (6003, 600399, 2)
    assert ocsf["actor"]["user"]["uid"] == cloud["subject"] == "u_1"
