"""A recorded event is on disk with its seal and link, and reaches the stream once."""

import asyncio
import json
from dataclasses import replace

import pytest

from security_common.audit import AuditEvent, JournalUnavailable, Outcome, RecordedEvent
from security_common.audit.journal_line import DIGEST_BEFORE_FIRST_LINE, line_digest
from security_common.audit.segment_files import MAX_LINE_BYTES
from security_common.pii import PIIKind

pytestmark = pytest.mark.anyio


def an_event(number: int = 0, **members) -> AuditEvent:
    return AuditEvent(
        event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS, tool_name=f"tool-{number}", **members
    )


def lines_of(settings, slot: int = 0) -> list[bytes]:
    return (settings.audit_dir / "tests" / str(slot) / "security_audit.log").read_bytes().splitlines()


async def shipped(redis, count: int) -> list[RecordedEvent]:
    while await redis.xlen("audit:events") < count:  # noqa: ASYNC110  # the condition is in Redis
        await asyncio.sleep(0.01)
    return [RecordedEvent.from_line(members[b"event"]) for _, members in await redis.xrange("audit:events")]


async def test_the_event_is_on_disk_when_record_returns(open_one, settings):
    journal = await open_one()
    receipt = await journal.record(an_event(1, user_id="u_1", pii_kinds={"email": 2}, contains_pii=True))
    line = json.loads(lines_of(settings)[-1])
    assert (line["event_id"], line["journal_id"], line["seq"]) == (receipt.event_id, receipt.journal_id, receipt.seq)
    assert line["user_id"] == "u_1"
    assert line["client_id"] is None
    assert line["pii_kinds"] == {"email": 2}
    assert "revealed_kinds" not in line
    assert line["service"] == "tests"


async def test_the_kinds_that_a_tool_received_are_recorded(open_one, settings):
    journal = await open_one()
    await journal.record(an_event(1, revealed_kinds={"PHONE": 2}))
    line = lines_of(settings)[-1]
    assert json.loads(line)["revealed_kinds"] == {"PHONE": 2}
    assert RecordedEvent.from_line(line).revealed_kinds == {"PHONE": 2}


async def test_a_line_with_the_longest_texts_is_shorter_than_the_limit(open_one, settings):
    journal = await open_one()
    longest = "\x01" * 1000  # the character that takes the most bytes in JSON
    names = ("tool_name", "user_id", "client_id", "issuer", "reason", "source_address", "subject_reference", "task")
    alert = {"about": longest, "name": longest, "since": longest, "count": 2**53}
    counts = dict.fromkeys(PIIKind, 10**9)
    texts = dict.fromkeys((*names, "trace_id"), longest)
    await journal.record(replace(an_event(), **texts, alert=alert, pii_kinds=counts, revealed_kinds=counts))
    assert 16 * 1024 < len(lines_of(settings)[-1]) < MAX_LINE_BYTES


async def test_every_line_links_to_the_line_before(open_one, settings):
    journal = await open_one()
    await asyncio.gather(*(journal.record(an_event(number)) for number in range(700)))
    lines = lines_of(settings)
    links = [json.loads(line)["prev"] for line in lines]
    assert links == [DIGEST_BEFORE_FIRST_LINE, *map(line_digest, lines[:-1])]
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 702))


async def test_a_restart_continues_the_journal(open_one, settings):
    first = await open_one()
    before = await first.record(an_event(1))
    await first.stop()
    second = await open_one()
    after = await second.record(an_event(2))
    assert after.journal_id == before.journal_id
    assert [json.loads(line)["seq"] for line in lines_of(settings)] == [1, 2, 3, 4]


async def test_two_processes_use_two_slots(open_one):
    first, second = await open_one(), await open_one()
    assert (await first.record(an_event())).journal_id != (await second.record(an_event())).journal_id


async def test_a_synchronous_caller_waits_for_the_disk(open_one, settings):
    journal = await open_one()
    receipt = await asyncio.to_thread(journal.record_blocking, an_event(5))
    assert json.loads(lines_of(settings)[-1])["seq"] == receipt.seq


async def test_events_reach_the_stream_in_order(redis, open_one):
    journal = await open_one(ships=True)
    receipts = await asyncio.gather(*(journal.record(an_event(number)) for number in range(700)))
    events = await shipped(redis, 701)
    assert [event.seq for event in events] == list(range(1, 702))
    assert {event.event_id for event in events} >= {receipt.event_id for receipt in receipts}


async def test_the_next_process_ships_what_the_last_one_left(redis, open_one):
    alone = await open_one()
    await alone.record(an_event(1))
    await alone.stop()
    await open_one(ships=True)
    assert [event.seq for event in await shipped(redis, 3)] == [1, 2, 3]


async def test_a_stopped_journal_refuses_events(open_one):
    journal = await open_one()
    await journal.stop()
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        await journal.record(an_event())


async def test_text_of_a_caller_cannot_break_a_line(open_one, settings):
    journal = await open_one()
    await journal.record(an_event(reason='\n","seq":9}\ud800' + "x" * 9000))
    line = lines_of(settings)[-1]
    assert len(line) < 2000
    assert json.loads(line)["reason"].startswith('\n","seq":9}')
