"""Live detection records each alert as an event, in one process at a time, and another process can take over."""

import asyncio
import json

import pytest

from security_common.audit import AuditEvent, EventType, Outcome
from security_common.audit.heartbeats import read_heartbeats
from security_common.audit.reading import EventFilter, each_event, live_detection, read_trail_state
from security_common.audit.reading.alerts import describe_alert

pytestmark = pytest.mark.anyio

WRONG_SECRET = AuditEvent(
    event_type="client_refused",
    action_taken="refused",
    outcome=Outcome.REFUSED,
    reason="invalid_client",
    client_id="mcp-client",
    source_address="192.0.2.1",
)


async def alerts(redis) -> list[str]:
    return [event.reason async for event in each_event(redis, EventFilter(event_type=EventType.SECURITY_ALERT))]


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  # the condition is in Redis
            await asyncio.sleep(0.02)


@pytest.fixture
def strict(settings):
    return settings.model_copy(update={"detect_secret_guessing": settings.detect_secret_guessing.parse("3/300")})


async def test_wrong_secrets_cause_one_alert_event(redis, open_one, strict):
    journal = await open_one(ships=True)
    async with live_detection(redis, journal, strict), live_detection(redis, journal, strict):
        await until(lambda: redis.exists("audit:watch:place"))
        for _ in range(4):
            await journal.record(WRONG_SECRET)
        await until(lambda: alerts(redis))
        (event,) = [event async for event in each_event(redis, EventFilter(event_type=EventType.SECURITY_ALERT))]
    assert (event.reason, event.client_id, event.source_address) == ("secret_guessing", "mcp-client", "192.0.2.1")
    assert event.outcome == Outcome.ALERT
    assert describe_alert(event) == "client mcp-client: 3 failed attempts within 5 minutes (threshold: 3)"
    assert await alerts(redis) == ["secret_guessing"]


async def test_a_burst_during_a_change_of_process_is_one_alert(redis, open_one, strict):
    journal = await open_one(ships=True)
    async with live_detection(redis, journal, strict):
        await until(lambda: redis.exists("audit:watch:place"))
        for _ in range(2):
            await journal.record(WRONG_SECRET)
        await until(lambda: passed(redis, 3))
    async with live_detection(redis, journal, strict):
        await journal.record(WRONG_SECRET)
        await until(lambda: passed(redis, 5))
    async with live_detection(redis, journal, strict):
        await journal.record(AuditEvent(event_type="x", action_taken="x", outcome=Outcome.SUCCESS))
        await until(lambda: passed(redis, 6))
    assert await alerts(redis) == ["secret_guessing"]


async def passed(redis, entries: int) -> bool:
    """Whether the first entries of the stream were processed."""
    present = await redis.xrange("audit:events", count=entries)
    return len(present) == entries and await redis.get("audit:watch:place") == present[-1][0]


INVALID_MEMBERS = (
    {"timestamp": "2026-01-01T00:00:00"},
    {"seq": "seven"},
    {"seq": None},
    {"journal_id": []},
    {"pii_kinds": ["PHONE"]},
    {"pii_kinds": {"PHONE": "many"}},
    {"source_address": 1},
    {"client_id": {}},
    {"reason": []},
)


async def test_invalid_entries_do_not_stop_the_detection(redis, open_one, strict):
    """The Redis user of every service can write to the stream, so a compromised service must not stop the detection."""
    journal = await open_one(ships=True)
    async with live_detection(redis, journal, strict):
        await until(lambda: redis.exists("audit:watch:place"))
        await journal.record(WRONG_SECRET)
        await until(lambda: passed(redis, 2))
        valid = json.loads((await redis.xrange("audit:events"))[-1][1][b"event"])
        for members in INVALID_MEMBERS:
            await redis.xadd("audit:events", {"event": json.dumps(valid | {"journal_id": "made up"} | members)})
        await redis.hset("audit:journals", "made up", json.dumps({"service": "x", "seq": "x", "seen_ms": 0}))
        await redis.hset("audit:journals", "no object", "[]")
        await redis.hset("audit:cursors", "made up", "x")
        await redis.hset("audit:cursors", b"\xff", "1")
        for _ in range(2):
            await journal.record(WRONG_SECRET)
        await until(lambda: alerts(redis))
    assert await alerts(redis) == ["secret_guessing"]
    assert await read_heartbeats(redis) != []
    assert {each.journal_id for each in (await read_trail_state(redis)).journals} >= {valid["journal_id"]}
