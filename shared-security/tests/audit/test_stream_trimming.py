"""The stream stays within its limit of memory, and a full Redis loses no acknowledged event."""

import asyncio
import json

import pytest
from redis.exceptions import OutOfMemoryError

from security_common.audit import AuditEvent, Outcome
from security_common.audit.stream_shipping import STREAM_KEY
from security_common.audit.stream_trimming import StreamLimit

pytestmark = pytest.mark.anyio

LIMIT_BYTES = 1024 * 1024
EVENT = AuditEvent(
    event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS, tool_name="load", task="x" * 400
)


@pytest.fixture
def limited(settings):
    return settings.model_copy(update={"audit_stream_max_bytes": LIMIT_BYTES})


@pytest.fixture
async def memory_limit(redis):
    """Sets `maxmemory` to the used memory plus some bytes, and removes the limit after the test."""

    async def set_limit(spare_bytes: int) -> None:
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", used + spare_bytes)

    yield set_limit
    await redis.config_set("maxmemory", 0)


async def record(journal, count: int) -> int:
    """Records events and returns the last seq."""
    receipts = [receipt for _ in range(count // 500) for receipt in await _record_at_once(journal, 500)]
    return receipts[-1].seq


async def _record_at_once(journal, count: int):
    return await asyncio.gather(*(journal.record(EVENT) for _ in range(count)))


async def newest_seq(redis) -> int:
    entries = await redis.xrevrange(STREAM_KEY, count=1)
    return json.loads(entries[0][1][b"event"])["seq"] if entries else 0


async def shipped(redis, seq: int) -> None:
    async with asyncio.timeout(30):
        while await newest_seq(redis) < seq:  # noqa: ASYNC110  # the condition is in Redis
            await asyncio.sleep(0.02)


async def test_the_stream_stays_below_its_limit_and_the_journal_keeps_all(redis, limited, open_one):
    journal = await open_one(ships=True, settings=limited)
    last = await record(journal, 8_000)
    await shipped(redis, last)
    await journal.stop()
    assert await redis.memory_usage(STREAM_KEY, samples=0) < LIMIT_BYTES * 3.5
    await StreamLimit(redis, LIMIT_BYTES).trim()
    assert LIMIT_BYTES * 0.5 < await redis.memory_usage(STREAM_KEY, samples=0) <= LIMIT_BYTES
    assert await newest_seq(redis) == last
    lines = [log.read_bytes().count(b"\n") for log in (limited.audit_dir / "tests" / "0").glob("*.log")]
    assert sum(lines) == last


async def test_a_stream_below_its_limit_is_left_alone(redis, limited, open_one):
    journal = await open_one(ships=True, settings=limited)
    last = await record(journal, 500)
    await shipped(redis, last)
    assert await StreamLimit(redis, LIMIT_BYTES).trim() == 0
    assert await redis.xlen(STREAM_KEY) == last


async def test_a_full_redis_refuses_and_the_journal_ships_when_there_is_room(redis, open_one, memory_limit):
    journal = await open_one(ships=True)
    await memory_limit(0)
    with pytest.raises(OutOfMemoryError):
        await redis.set("filler", b"x" * 10_000_000)
    last = await record(journal, 500)
    await redis.config_set("maxmemory", 0)
    await shipped(redis, last)
    entries = await redis.xrange(STREAM_KEY)
    assert [json.loads(members[b"event"])["seq"] for _, members in entries] == list(range(1, last + 1))


async def test_a_redis_that_the_stream_filled_is_made_free_of_it(redis, open_one, limited, memory_limit, settings):
    """An older release let the stream grow: the next batch is refused, and the stream is trimmed at once."""
    journal = await open_one(ships=True, settings=settings)
    await shipped(redis, await record(journal, 8_000))
    await journal.stop()
    await memory_limit(0)
    journal = await open_one(ships=True, settings=limited)
    await shipped(redis, await record(journal, 500))
    assert await redis.memory_usage(STREAM_KEY, samples=0) < LIMIT_BYTES * 3.5


async def test_a_group_that_is_too_slow_is_logged_once(redis, open_one, settings, caplog):
    journal = await open_one(ships=True, settings=settings)
    await shipped(redis, await record(journal, 500))
    await redis.xgroup_create(STREAM_KEY, "slow", id="0")
    await shipped(redis, await record(journal, 8_000))
    limit = StreamLimit(redis, LIMIT_BYTES)
    assert await limit.trim() > 0
    assert await limit.trim() == 0
    await shipped(redis, await record(journal, 8_000))
    assert await limit.trim() > 0
    warnings = [each.message for each in caplog.records if "slow" in each.message]
    assert len(warnings) == 1


async def test_the_limit_needs_no_more_than_the_services_may(redis):
    """As the ACL of `security-common setup` has it: MEMORY USAGE, XLEN, XTRIM, XRANGE and XINFO GROUPS."""
    service = "&mcp:* ~mcp:* ~audit:* +@all -@admin -@dangerous +info +config|get +acl|whoami +waitaof"
    await redis.execute_command("ACL", "SETUSER", "limited", "on", "nopass", *service.split())
    await redis.xadd(STREAM_KEY, {"event": "x"})
    for command in (
        ["MEMORY", "USAGE", STREAM_KEY, "SAMPLES", "100"],
        ["XLEN", STREAM_KEY],
        ["XTRIM", STREAM_KEY, "MAXLEN", "~", "10"],
        ["XINFO", "GROUPS", STREAM_KEY],
    ):
        allowed = await redis.execute_command("ACL", "DRYRUN", "limited", *command)
        assert allowed == b"OK", command
    await redis.execute_command("ACL", "DELUSER", "limited")
