"""Search with filters and pages, and the security report."""

from datetime import UTC, datetime

import pytest

from security_common.audit import AuditEvent, Outcome
from security_common.audit.reading import (
    EventFilter,
    KeyInUse,
    PagingTokenInvalid,
    SecurityReport,
    each_event,
    read_events,
    read_trail_state,
    security_report,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def trail(redis, open_one):
    """Ten tool calls of two users, every third refused."""
    journal = await open_one(ships=True)
    for number in range(10):
        await journal.record(
            AuditEvent(
                event_type="tool_call",
                action_taken="executed",
                outcome=Outcome.REFUSED if number % 3 == 0 else Outcome.SUCCESS,
                reason="insufficient_scope" if number % 3 == 0 else None,
                user_id=f"u_{number % 2}",
                issuer="https://issuer.example",
                client_id="mcp-client",
                tool_name="get_user_info",
                contains_pii=number == 4,
                pii_kinds={"email": 2} if number == 4 else {},
            )
        )
    await journal.stop()
    return redis


async def test_all_filters_apply_together(trail):
    page = await read_events(trail, EventFilter(user_id="u_1", outcome=Outcome.REFUSED))
    assert [event.seq for event in page.events] == [11, 5]
    assert page.next_token is None


async def test_pages_contain_every_event_once(trail):
    seen, token = [], None
    while True:
        page = await read_events(trail, EventFilter(event_type="tool_call"), limit=3, after=token)
        seen += [event.seq for event in page.events]
        token = page.next_token
        if token is None:
            break
    assert seen == list(range(11, 1, -1))


async def test_the_end_of_a_period_is_exclusive(trail):
    everything = [event async for event in each_event(trail)]
    middle = everything[5].timestamp
    before = [event async for event in each_event(trail, EventFilter(until=middle))]
    behind = [event async for event in each_event(trail, EventFilter(since=middle))]
    assert before + behind == everything
    assert behind[0] == everything[5]


@pytest.mark.parametrize("token", ["", "0", "1-x", "1-1) COUNT", "١-١", "-", "1" * 50 + "-0"])
async def test_an_invalid_paging_token_is_refused(trail, token):
    with pytest.raises(PagingTokenInvalid):
        await read_events(trail, after=token)


async def test_an_invalid_entry_is_ignored(trail):
    await trail.xadd("audit:events", {"event": "{"})
    await trail.xadd("audit:events", {"other": "x"})
    assert len([event async for event in each_event(trail)]) == 11


async def test_the_report_counts_what_happened(trail):
    report = await security_report(each_event(trail))
    assert report.events == 11
    assert report.by_user == {"u_0": 5, "u_1": 5}
    assert report.refusals == {"insufficient_scope": 4}
    assert report.by_pii_kind == {"email": 2}
    assert report.since is not None
    assert report.since <= datetime.now(UTC)
    assert "| email | 2 |" in report.as_markdown()
    assert "| 1 | 11 | 11 |" in report.as_markdown()
    assert report.as_data()["by_tool"] == {"get_user_info": 10}


async def test_the_report_has_the_state_of_the_chain_and_the_keys(trail):
    report = await security_report(each_event(trail))
    report.trail, report.keys = await read_trail_state(trail), [KeyInUse("stored data", "k_1", "primary")]
    assert "has no gaps and no changed lines" in report.as_markdown()
    assert "| stored data | k_1 | primary |" in report.as_markdown()
    assert report.as_data()["chain"]["sound"] is True
    assert report.as_data()["chain"]["journals"][0]["shipped_through_seq"] == 11


async def test_the_report_of_an_empty_period_has_the_state_of_the_chain_and_the_keys(trail):
    report = SecurityReport(trail=await read_trail_state(trail), keys=[KeyInUse("stored data", "k_1", "primary")])
    assert "No events" in report.as_markdown()
    assert "has no gaps and no changed lines" in report.as_markdown()
    assert "| stored data | k_1 | primary |" in report.as_markdown()


@pytest.mark.parametrize("change", ["missing", "broken"])
async def test_a_changed_stream_is_not_sound(trail, change):
    entry_id, members = (await trail.xrange("audit:events"))[5]
    line = members[b"event"]
    await trail.xdel("audit:events", entry_id)
    if change == "broken":
        await trail.xadd("audit:events", {"event": line.replace(b"u_0", b"u_9").replace(b"u_1", b"u_9")})
    state = await read_trail_state(trail)
    assert [getattr(journal, change) for journal in state.journals] == [1]
    report = await security_report(each_event(trail))
    report.trail = state
    assert "has gaps or changed lines" in report.as_markdown()
