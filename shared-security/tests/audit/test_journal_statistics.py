"""The statistics of a journal: what is counted, and how far shipping is behind."""

import math
from typing import Any

import pytest

from security_common.audit import Action, AuditEvent, EventType, Outcome
from security_common.audit.journal_statistics import MAX_TOOLS, OTHER_TOOLS, JournalStatistics

pytestmark = pytest.mark.anyio


def event(tool_name: str | None, outcome: Outcome = Outcome.SUCCESS) -> AuditEvent:
    return AuditEvent(
        event_type=EventType.TOOL_CALL, action_taken=Action.EXECUTED, outcome=outcome, tool_name=tool_name
    )


def test_events_are_counted_by_type_and_tool() -> None:
    statistics = JournalStatistics()
    for tool_name, outcome in (("a", Outcome.SUCCESS), ("a", Outcome.REFUSED), (None, Outcome.SUCCESS)):
        statistics.count(event(tool_name, outcome))
    assert statistics.events == {("tool_call", "success"): 2, ("tool_call", "refused"): 1}
    assert statistics.tool_events == {("a", "success"): 1, ("a", "refused"): 1}


def test_the_number_of_tools_is_limited() -> None:
    statistics = JournalStatistics()
    for number in range(MAX_TOOLS + 7):
        statistics.count(event(f"tool{number}"))
    assert len(statistics.tool_events) == MAX_TOOLS + 1
    assert statistics.tool_events[OTHER_TOOLS, "success"] == 7


def test_the_lag_grows_from_when_everything_was_shipped() -> None:
    now = 100.0
    statistics = JournalStatistics(clock=lambda: now)
    assert math.isnan(statistics.shipping_lag_seconds)
    assert math.isnan(statistics.checkpoint_age_seconds)
    statistics.note_shipping(0)
    statistics.note_checkpoint()
    now = 130.0
    assert (statistics.shipping_lag_seconds, statistics.checkpoint_age_seconds) == (0.0, 30.0)
    statistics.note_shipping(5)
    assert (statistics.unshipped_events, statistics.shipping_lag_seconds) == (5, 30.0)
    now = 140.0
    assert statistics.shipping_lag_seconds == 40.0
    statistics.note_shipping(0)
    assert statistics.shipping_lag_seconds == 0.0


async def test_a_journal_counts_what_it_records(open_one: Any) -> None:
    journal = await open_one()
    await journal.record(event("a"))
    assert journal.statistics.tool_events == {("a", "success"): 1}
    assert journal.statistics.events["journal_opened", "success"] == 1
