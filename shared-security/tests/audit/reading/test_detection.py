"""Each rule raises an alert at its threshold and not before. Scenarios are processed by the same rules."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from security_common.audit import AuditEvent, Outcome, RecordedEvent
from security_common.audit.reading import SCENARIOS, Detector, ScenarioUnknown, detection_rules, run_scenario
from security_common.audit.reading.alerts import describe_alert
from security_common.audit.reading.detection import WATCHED_GROUPS
from security_common.settings import SecuritySettings, SettingInvalid, Threshold

NOW = datetime(2026, 11, 23, tzinfo=UTC)

EXPECTED = {
    "quiet_day": set(),
    "stolen_refresh_token": {"refresh_token_reuse"},
    "secret_guessing": {"secret_guessing"},
    "refusal_burst": {"refusal_burst"},
    "tool_enumeration": {"tool_enumeration"},
    "bulk_export": {"many_subjects", "pii_volume_person"},
    "journal_gap": {"journal_gap"},
}


def refused(at_seconds: float, **members) -> RecordedEvent:
    defaults = {
        "source_address": "192.0.2.7",
        "user_id": "u_1",
        "reason": "insufficient_scope",
        "seq": 1,
        "event_id": "",
    }
    return RecordedEvent(
        event_type="tool_call",
        action_taken="rejected",
        outcome=Outcome.REFUSED,
        timestamp=NOW + timedelta(seconds=at_seconds),
        journal_id="j",
        prev="",
        hash="",
        service="tests",
        **(defaults | members),
    )


def alerts_of(events, **thresholds):
    detector = Detector(detection_rules(SecuritySettings(**thresholds)))
    return [alert for event in events for alert in detector.observe(event)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_causes_the_alerts_of_its_rules_and_no_others(name):
    result = run_scenario(name, SecuritySettings(), now=NOW)
    assert {alert.rule for alert in result.alerts} == EXPECTED[name]


@pytest.mark.parametrize("name", [name for name, rules in EXPECTED.items() if rules])
def test_scenarios_use_the_current_thresholds(name):
    fields = [field for field, value in SecuritySettings() if isinstance(value, Threshold)]
    out_of_reach = SecuritySettings(**dict.fromkeys(fields, Threshold(10**8, 10**8)))
    few = run_scenario(name, SecuritySettings(), now=NOW)
    detector = Detector(detection_rules(out_of_reach))
    assert few.alerts
    events = SCENARIOS[name](SecuritySettings(), NOW)
    assert not [alert for event in events for alert in detector.observe(event)]


def test_an_unknown_scenario_is_an_error():
    with pytest.raises(ScenarioUnknown):
        run_scenario("nothing", SecuritySettings(), now=NOW)


def test_one_less_than_the_threshold_is_no_alert():
    assert not alerts_of([refused(0), refused(1)], detect_refusal_burst="3/60")
    assert len(alerts_of([refused(0), refused(1), refused(2)], detect_refusal_burst="3/60")) == 1


def test_addresses_of_one_ipv6_network_are_one_group():
    burst = [refused(number, user_id=None, source_address=f"2001:db8:1:1::{number}") for number in range(3)]
    [alert] = alerts_of(burst, detect_refusal_burst="3/60")
    assert "2001:db8:1:1::/64" in alert.group
    assert not alerts_of(
        [replace(one, source_address=f"2001:db8:1:{n}::1") for n, one in enumerate(burst)], detect_refusal_burst="3/60"
    )


def test_events_older_than_the_window_do_not_count():
    assert not alerts_of([refused(0), refused(1), refused(60)], detect_refusal_burst="3/60")


def test_one_burst_is_one_alert():
    burst = [refused(number / 100) for number in range(1_000)]
    (alert,) = alerts_of(burst, detect_refusal_burst="5/60")
    assert (alert.value, alert.continues) == (5, False)


def test_a_continuing_burst_is_reported_once_in_each_window_with_its_count():
    burst = [refused(number) for number in range(200)]
    alerts = alerts_of(burst, detect_refusal_burst="5/60")
    assert [(alert.value, alert.continues) for alert in alerts] == [(5, False), (65, True), (125, True), (185, True)]
    assert {alert.since for alert in alerts} == {NOW}


def test_a_burst_after_a_quiet_window_is_a_new_burst():
    bursts = [refused(number) for number in (*range(5), *range(100, 105))]
    alerts = alerts_of(bursts, detect_refusal_burst="5/60")
    assert [(alert.value, alert.continues) for alert in alerts] == [(5, False), (5, False)]


def test_a_client_that_acts_for_itself_is_not_called_a_user():
    pieces = [
        replace(refused(n), outcome=Outcome.SUCCESS, user_id="batch", client_id="batch", pii_kinds={"EMAIL": 1})
        for n in range(3)
    ]
    (alert,) = alerts_of(pieces, detect_pii_volume="3/60")
    assert alert.group == "client batch"


def test_an_alert_is_neither_a_success_nor_a_task():
    (alert,) = alerts_of([refused(0), refused(1)], detect_refusal_burst="2/120")
    event = alert.as_event()
    assert (event.outcome, event.action_taken, event.reason, event.task) == (
        *(Outcome.ALERT, "alerted", "refusal_burst"),
        None,
    )
    assert describe_alert(event) == "address 192.0.2.7: 2 refusals within 2 minutes (threshold: 2)"
    assert describe_alert(event, "ko") == "접속 주소 192.0.2.7: 2분 동안 거부 2건 (기준: 2)"
    continued = replace(alert, continues=True, value=40).as_event()
    assert describe_alert(continued, "ko", since="11-23 09:00:00") == (
        "접속 주소 192.0.2.7: 11-23 09:00:00부터 거부 40건, 계속 발생 중 (기준: 2분 동안 2)"
    )


def test_an_alert_of_an_older_release_keeps_its_text():
    old = AuditEvent(
        event_type="security_alert", action_taken="alerted", outcome=Outcome.SUCCESS, task="user u_1: 9 within 60 s"
    )
    assert describe_alert(old, "ko") == "user u_1: 9 within 60 s"


def test_an_alert_with_invalid_members_can_be_described():
    """The Redis user of every service can write to the stream."""
    made_up = {"about": "user", "name": "u_1", "count": "many", "threshold": "x", "window_seconds": ""}
    event = AuditEvent(
        event_type="security_alert",
        action_taken="alerted",
        outcome=Outcome.ALERT,
        reason="refusal_burst",
        alert=made_up,
    )
    assert describe_alert(event).startswith("user u_1: 0 refusals")


def test_groups_are_counted_separately():
    events = [refused(number, source_address=f"192.0.2.{number}") for number in range(5)]
    assert not alerts_of(events, detect_refusal_burst="2/60")


def test_the_same_tool_twice_is_one_tool():
    twice = [refused(number, tool_name="a") for number in range(5)]
    assert not alerts_of(twice, detect_tool_enumeration="2/60")


def test_each_call_of_an_unknown_tool_counts():
    guesses = [refused(number, reason="unknown_component", event_id=str(number)) for number in range(3)]
    assert {alert.rule for alert in alerts_of(guesses, detect_tool_enumeration="3/60")} == {"tool_enumeration"}


@pytest.mark.parametrize("name", [name for name, rules in EXPECTED.items() if rules])
def test_an_alert_event_causes_no_alert_and_is_not_a_gap(name):
    settings = SecuritySettings()
    detector = Detector(detection_rules(settings))
    seen = [(event, detector.observe(event)) for event in SCENARIOS[name](settings, NOW)]
    last = seen[-1][0]
    for number, alert in enumerate([alert for _, alerts in seen for alert in alerts] * 50, start=1):
        alert_members = {each.name: getattr(alert.as_event(), each.name) for each in fields(AuditEvent)}
        echo = replace(last, **alert_members, seq=last.seq + number)
        assert detector.observe(echo) == []
    assert detector.observe(replace(last, outcome=Outcome.SUCCESS, pii_kinds={}, seq=last.seq + number + 1)) == []


def test_a_gap_in_the_numbers_is_reported_with_its_size():
    (alert,) = alerts_of([refused(0, seq=4), refused(1, seq=5), refused(2, seq=9)])
    assert (alert.rule, alert.value) == ("journal_gap", 3)


def test_the_number_of_groups_is_limited():
    detector = Detector(detection_rules(SecuritySettings()))
    for number in range(WATCHED_GROUPS + 50):
        detector.observe(refused(0, source_address=f"a-{number}", seq=number + 1))
    assert max(map(len, detector._windows.values())) == WATCHED_GROUPS


def test_a_group_is_dropped_when_its_window_has_passed():
    seconds = SecuritySettings().detect_refusal_burst.seconds
    detector = Detector(detection_rules(SecuritySettings()))
    for number in range(100):
        detector.observe(refused(0, source_address=f"192.0.2.{number}"))
    detector.observe(refused(seconds, source_address="198.51.100.1"))
    assert len(detector._windows["refusal_burst"]) == 1


@pytest.mark.parametrize("text", ["", "5", "0/60", "5/0", "-5/60", "5/60/1", "five/60"])
def test_an_invalid_threshold_is_refused(text):
    with pytest.raises(SettingInvalid):
        SecuritySettings(detect_refusal_burst=text)


def test_thresholds_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SECURITY_DETECT_REFUSAL_BURST", "7/8")
    assert SecuritySettings().detect_refusal_burst == Threshold(7, 8)
