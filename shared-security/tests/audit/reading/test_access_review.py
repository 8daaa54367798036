"""The monthly review of access records, and the export formats."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading.access_review import AccessReview, Month
from security_common.audit.reading.alerts import RULE_TITLES, Alert
from security_common.audit.reading.export import COLUMNS, FORMATS
from security_common.audit.reading.report import SecurityReport
from security_common.settings import Threshold

SEOUL = timezone(timedelta(hours=9))
NOVEMBER = Month.parse("2026-11", SEOUL)


def access(moment: datetime, **members) -> RecordedEvent:
    defaults = {
        "user_id": "u_1",
        "source_address": "192.0.2.1",
        "subject_reference": "s-1",
        "task": "view",
        "contains_pii": True,
        "event_type": "tool_call",
        "outcome": Outcome.SUCCESS,
        "action_taken": "executed",
    }
    return RecordedEvent(
        **(defaults | members),
        timestamp=moment.astimezone(UTC),
        event_id="e",
        journal_id="j",
        seq=1,
        prev="",
        hash="",
        service="tests",
    )


TRIGGER = access(datetime(2026, 11, 23, 10, tzinfo=SEOUL))


def event_members(alert: Alert) -> dict[str, object]:
    """The members of the alert's event."""
    event = alert.as_event()
    return {each.name: getattr(event, each.name) for each in fields(event)}


def review(*events: RecordedEvent) -> AccessReview:
    found = AccessReview(NOVEMBER)
    for event in events:
        found.add(event)
    return found


def test_a_month_is_in_the_time_zone_of_the_reviewer():
    assert NOVEMBER.since == datetime(2026, 10, 31, 15, tzinfo=UTC)
    assert Month.parse("2026-12", SEOUL).until == datetime(2026, 12, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026", "2026-13", "11-2026", ""])
def test_an_invalid_month_is_refused(text):
    with pytest.raises(ValueError):
        Month.parse(text, SEOUL)


def test_only_accesses_to_personal_data_count():
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    nothing = {"contains_pii": False, "subject_reference": None, "task": None}
    found = review(
        access(day),
        access(day, **nothing | {"subject_reference": "s-1"}),
        access(day, **nothing | {"contains_pii": True}),
        access(day, **nothing | {"task": "delete"}),
        access(day, **nothing),
    )
    assert found.accesses == 4


@pytest.mark.parametrize("event_type", ["audit_page", "tool_call"])
def test_a_download_without_a_data_subject_is_listed(event_type):
    """The audit page records no findings and no data subject, but a reason."""
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    found = review(
        access(
            day,
            event_type=event_type,
            action_taken="exported_csv",
            task="download",
            reason="내부 감사",
            contains_pii=False,
            subject_reference=None,
        )
    )
    (download,) = found.as_data()["downloads"]
    assert (download["user_id"], download["reason"], download["source_address"]) == ("u_1", "내부 감사", "192.0.2.1")
    assert (found.accesses, found.incomplete) == (1, 0)
    assert "| 내부 감사 |" in found.as_markdown("ko")
    assert "| 다운로드 | 1 |" in found.as_markdown("ko")


def test_an_access_without_identifier_is_counted_as_incomplete():
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    found = review(access(day, user_id=None), access(day, user_id=None, client_id="batch"))
    assert (found.accesses, found.incomplete) == (2, 1)
    assert set(found.users) == {"-", "batch"}


@pytest.mark.parametrize(("language", "word"), [("ko", "한 달 전체가 아닙니다"), ("en", "Not the whole month")])
def test_the_sheet_has_a_warning_if_the_events_begin_within_the_month(language, word):
    found = AccessReview(NOVEMBER, begins=datetime(2026, 11, 20, tzinfo=SEOUL))
    assert word in found.as_markdown(language)
    assert "2026-11-20 00:00" in found.as_markdown(language)
    assert word not in AccessReview(NOVEMBER).as_markdown(language)


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
def test_accesses_outside_working_hours_are_counted(moment, unusual):
    assert review(access(moment)).users["u_1"].unusual_hours == unusual


def test_accesses_without_required_members_are_counted():
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
    assert "| 11-23 10:00 | u_1 | export\\|all | 192.0.2.1 | &lt;b> |" in sheet
    assert f"| {RULE_TITLES['many_subjects'][language]} | 1 |" in sheet
    assert "$" not in sheet


@pytest.mark.parametrize(("language", "empty"), [("ko", "| 해당 없음 |"), ("en", "| none |")])
def test_an_empty_table_of_the_sheet_says_so(language, empty):
    assert AccessReview(NOVEMBER).as_markdown(language).count(empty) == 4


@pytest.mark.parametrize(
    ("language", "row"), [("ko", "| 도구 호출: lookup | 1 |"), ("en", "| tool call: lookup | 1 |")]
)
def test_the_sheet_names_the_tool_of_a_call_without_a_task(language, row):
    review = AccessReview(NOVEMBER)
    review.add(access(datetime(2026, 11, 3, 9, tzinfo=UTC), task=None, tool_name="lookup"))
    assert row in review.as_markdown(language)


def test_large_numbers_of_the_sheet_are_grouped():
    assert "| 3,025 |" in AccessReview(NOVEMBER, accesses=3025).as_markdown("ko")


def test_csv_contains_no_formula():
    row = FORMATS["csv"].write_event(access(datetime.now(UTC), user_id='=HYPERLINK("x")'))
    assert "'=HYPERLINK" in row
    assert len(COLUMNS) == row.count(",") + 1


def test_the_formats_have_the_kinds_that_a_tool_received():
    day = datetime(2026, 11, 23, tzinfo=UTC)
    event = access(day, revealed_kinds={"PERSON": 1, "PHONE": 2})
    assert dict(zip(COLUMNS, FORMATS["csv"].write_event(event).split(","), strict=True))["revealed_kinds"] == (
        "PERSON=1 PHONE=2"
    )
    assert json.loads(FORMATS["jsonl"].write_event(event))["revealed_kinds"] == {"PERSON": 1, "PHONE": 2}
    assert json.loads(FORMATS["ocsf"].write_event(event))["unmapped"]["revealed_kinds"] == {"PERSON": 1, "PHONE": 2}
    assert "revealed_kinds" not in FORMATS["jsonl"].write_event(access(day))


def test_cloudevents_and_ocsf_have_the_caller_and_the_operation():
    event = access(datetime(2026, 11, 23, tzinfo=UTC), tool_name="get_user_info", outcome=Outcome.REFUSED)
    cloud, ocsf = (json.loads(FORMATS[name].write_event(event)) for name in ("cloudevents", "ocsf"))
    assert (cloud["specversion"], cloud["id"], cloud["source"]) == ("1.0", "e", "urn:mcp-oauth2:journal:j")
    assert (ocsf["class_uid"], ocsf["type_uid"], ocsf["status_id"]) == (6003, 600399, 2)
    assert ocsf["actor"]["user"]["uid"] == cloud["subject"] == "u_1"


def test_all_alerts_of_a_burst_are_one_ocsf_detection_finding():
    alert = Alert(
        "pii_volume_person", "user u_1", 1001, Threshold(1000, 3600), datetime(2026, 11, 23, 9, tzinfo=UTC), TRIGGER
    )
    first, second = (
        json.loads(FORMATS["ocsf"].write_event(access(datetime(2026, 11, 23, 10, tzinfo=UTC), **event_members(each))))
        for each in (alert, replace(alert, continues=True, value=2000))
    )
    assert (first["class_uid"], first["type_uid"], first["severity_id"]) == (2004, 200401, 4)
    assert (second["type_uid"], second["count"]) == (200402, 2000)
    assert first["finding_info"] == second["finding_info"]
    assert first["message"] == "user u_1: 1,001 pieces of personal data within 1 hour (threshold: 1,000)"
    row = FORMATS["csv"].write_event(access(datetime(2026, 11, 23, 10, tzinfo=UTC), **event_members(alert)))
    assert "1,001 pieces of personal data" in row


def test_a_burst_counts_once_in_reports():
    day = datetime(2026, 11, 23, 10, tzinfo=SEOUL)
    alert = Alert("many_subjects", "user u_1", 50, Threshold(50, 3600), day, TRIGGER)
    events = [access(day, **event_members(each)) for each in (alert, replace(alert, continues=True))]
    assert review(*events).as_data()["alerts"] == {"many_subjects": 1}
    report = SecurityReport()
    for event in events:
        report.add(event)
    assert report.as_data()["alerts"] == {"many_subjects": 1}
    assert report.as_data()["by_outcome"] == {"alert": 2}
    assert "| One user accessed the data of many people | 1 |" in report.as_markdown()
