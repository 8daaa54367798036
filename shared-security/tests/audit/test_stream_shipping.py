"""Shipping, idle journals, checkpoints, and what retention may remove from the stream and the journals."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey
from redis.asyncio import Redis

from security_common.audit import AuditEvent, Outcome, open_journal
from security_common.audit.chain_key import chain_key_id, read_or_create_chain_key
from security_common.audit.checkpoints import CheckpointKeyInvalid, Checkpoints, load_checkpoint_key, read_checkpoint
from security_common.audit.idle_journals import IdleJournals
from security_common.audit.journal_line import ChainHead
from security_common.audit.reading import each_event
from security_common.audit.segment_retention import removable_segments, removal_of
from security_common.audit.stream_shipping import Shipper
from security_common.audit.stream_trimming import trim_stream

pytestmark = pytest.mark.anyio

EVENT = AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS)
LATER = datetime.now(UTC) + timedelta(days=1)


async def shipped_lines(redis) -> list[tuple[str, int]]:
    return [(event.journal_id, event.seq) async for event in each_event(redis)]


def live_file(settings):
    return settings.audit_dir / "tests" / "0" / "security_audit.log"


async def test_a_new_volume_does_not_continue_from_an_old_cursor(redis, open_one, settings, tmp_path):
    journal = await open_one(ships=True)
    old = [await journal.record(EVENT) for _ in range(3)]
    await journal.stop()
    fresh = settings.model_copy(update={"audit_dir": tmp_path / "fresh"})
    journal = await open_one(ships=True, settings=fresh)
    new = [await journal.record(EVENT) for _ in range(2)]
    await journal.stop()
    streamed = await shipped_lines(redis)
    assert {(receipt.journal_id, receipt.seq) for receipt in [*old, *new]} <= set(streamed)
    assert len(streamed) == len(set(streamed)) == 7


async def test_a_journal_that_ends_before_the_stream_is_replaced(redis, open_one, settings):
    journal = await open_one(ships=True)
    await journal.record(EVENT)
    restored = live_file(settings).read_bytes()
    lost = await journal.record(EVENT)
    await journal.stop()
    live_file(settings).write_bytes(restored)
    journal = await open_one(ships=True)
    receipt = await journal.record(EVENT)
    await journal.stop()
    streamed = await shipped_lines(redis)
    assert receipt.journal_id != lost.journal_id
    assert {(lost.journal_id, lost.seq), (receipt.journal_id, receipt.seq)} <= set(streamed)
    assert len(streamed) == len(set(streamed))


async def test_a_running_process_ships_idle_slots(redis, open_one, settings):
    first, second = await open_one(), await open_one()
    receipts = [await first.record(EVENT), await second.record(EVENT)]
    await first.stop()
    await second.stop()
    directory = settings.audit_dir / "tests"
    (directory / "9").mkdir()
    key = read_or_create_chain_key(settings, service="tests")
    assert await IdleJournals(redis, directory, key, directory / "9").ship(own_journal_id="") == 2
    assert {(receipt.journal_id, receipt.seq) for receipt in receipts} <= set(await shipped_lines(redis))


async def test_a_slot_in_use_is_not_shipped_by_others(redis, open_one, settings):
    await open_one()
    directory = settings.audit_dir / "tests"
    (directory / "9").mkdir()
    key = read_or_create_chain_key(settings, service="tests")
    assert await IdleJournals(redis, directory, key, directory / "9").ship(own_journal_id="") == 0


async def test_two_processes_may_ship_the_same_journal(redis, redis_server, open_one, settings):
    journal = await open_one()
    receipts = await asyncio.gather(*(journal.record(EVENT) for _ in range(2000)))
    journal_id, last_seq = receipts[-1].journal_id, max(receipt.seq for receipt in receipts)
    async with Redis.from_url(redis_server.url) as other:
        directory = live_file(settings).parent
        with (
            Shipper(redis, directory, journal_id, lambda: last_seq) as first,
            Shipper(other, directory, journal_id, lambda: last_seq) as second,
        ):
            await asyncio.gather(first.ship(), second.ship())
    assert await shipped_lines(redis) == [(journal_id, seq) for seq in range(1, last_seq + 1)]


async def test_after_a_flush_the_remaining_lines_are_shipped_again(redis, open_one, settings):
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    journal = await open_one(ships=True, settings=small)
    for _ in range(30):
        await journal.record(EVENT)
    await journal.stop()
    going = await removable_segments(redis, live_file(settings).parent, keep=timedelta(0), now=LATER)
    for segment in going:
        segment.path.unlink()
    await redis.flushall()
    journal = await open_one(ships=True, settings=small)
    await journal.stop()
    kept = [seq for _, seq in await shipped_lines(redis)]
    assert kept == list(range(going[-1].removal.last_seq + 1, 33))


async def test_a_segment_is_removable_only_if_shipped_synced_and_old(redis, open_one, settings):
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    journal = await open_one(settings=small)
    receipts = [await journal.record(EVENT) for _ in range(30)]
    await journal.stop()
    directory, journal_id = live_file(settings).parent, receipts[0].journal_id
    closed = len(list(directory.glob("security_audit.0*.log")))
    assert await removable_segments(redis, directory, keep=timedelta(0), now=LATER) == []
    await redis.hset("audit:cursors", journal_id, 31)
    assert await removable_segments(redis, directory, keep=timedelta(days=2), now=LATER) == []
    assert len(await removable_segments(redis, directory, keep=timedelta(0), now=LATER)) == closed
    await redis.hset("audit:cursors", journal_id, 12)
    some = await removable_segments(redis, directory, keep=timedelta(0), now=LATER)
    assert [segment.removal.last_seq <= 12 for segment in some] == [True] * len(some)
    assert 0 < len(some) < closed
    await redis.config_set("appendonly", "no")
    try:
        assert await removable_segments(redis, directory, keep=timedelta(0), now=LATER) == []
    finally:
        await redis.config_set("appendonly", "yes")


async def test_retention_removes_segments_of_idle_slots(redis, open_one, settings):
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    running, stopping = await open_one(ships=True), await open_one(ships=True, settings=small)
    for _ in range(30):
        await stopping.record(EVENT)
    idle = settings.audit_dir / "tests" / "1"
    await running.apply_retention(now=LATER + timedelta(days=4000))
    closed = list(idle.glob("security_audit.0*.log"))
    assert closed, "segments of a slot in use are removed by its own process"
    await stopping.stop()
    await running.apply_retention(now=LATER + timedelta(days=4000))
    assert not list(idle.glob("security_audit.0*.log"))
    assert live_file(settings).read_text().count("journal_segment_removed") == len(closed)


async def test_a_removal_has_the_digest_that_the_next_segment_links_to(redis, open_one, settings):
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    journal = await open_one(ships=True, settings=small)
    for _ in range(30):
        await journal.record(EVENT)
    await journal.stop()
    first, second = sorted(live_file(settings).parent.glob("security_audit.0*.log"))[:2]
    removal = (await removable_segments(redis, first.parent, keep=timedelta(0), now=LATER))[0].removal
    assert removal_of(removal.as_event()) == removal
    assert json.loads(second.read_bytes().splitlines()[0])["prev"] == removal.digest


@pytest.mark.parametrize("unfinished", ["unread", "unacknowledged", "nothing"])
async def test_trimming_by_age_keeps_what_a_group_has_not_acknowledged(redis, unfinished):
    for number in range(100):
        await redis.xadd("audit:events", {"event": str(number)}, id=f"{number + 1}-0")
    await redis.xgroup_create("audit:events", "fast", id="$")
    await redis.xgroup_create("audit:events", "slow", id="0")
    taken = await redis.xreadgroup("slow", "one", {"audit:events": ">"}, count=40 if unfinished == "unread" else 100)
    read = [entry_id for entry_id, _ in taken[0][1]]
    acknowledged = read if unfinished == "nothing" else read[:30]
    await redis.xack("audit:events", "slow", *acknowledged)
    await trim_stream(redis, keep=timedelta(0), now=LATER)
    left = [int(entry_id.split(b"-")[0]) for entry_id, _ in await redis.xrange("audit:events")]
    # The last entry that a group has read stays, because its id is the group's position.
    assert left == ([100] if unfinished == "nothing" else list(range(31, 101)))


async def test_trimming_by_age_keeps_newer_entries(redis, open_one):
    journal = await open_one(ships=True)
    await journal.record(EVENT)
    await journal.stop()
    assert await trim_stream(redis, keep=timedelta(days=2), now=LATER) == 0
    assert await trim_stream(redis, keep=timedelta(0), now=LATER) == 2
    assert await redis.exists("audit:events")


async def test_checkpoints_are_signed_also_without_new_events(redis, settings, open_one, tmp_path, caplog):
    pem = tmp_path / "checkpoint.pem"
    key = RSAKey.generate_key(2048)
    pem.write_bytes(key.as_pem(private=True))
    signing = settings.model_copy(
        update={"audit_checkpoint_key_file": pem, "audit_checkpoint_minutes": 0.0005, "audit_checkpoint_dir": tmp_path}
    )
    caplog.set_level("INFO")
    journal = await open_one(ships=True, settings=signing)
    receipt = await journal.record(EVENT)
    while await redis.xlen("audit:checkpoints") < 3:  # noqa: ASYNC110  # the condition is in Redis
        await asyncio.sleep(0.01)
    await journal.stop()
    signed = (tmp_path / "tests" / "0" / "checkpoints.jws").read_text().splitlines()
    checkpoints = [read_checkpoint(text, load_checkpoint_key(pem)) for text in signed]
    assert checkpoints[-1] == checkpoints[-2].__class__(
        receipt.journal_id,
        "tests",
        receipt.seq,
        checkpoints[-2].digest,
        checkpoints[-1].time,
        chain_key_id(read_or_create_chain_key(settings, service="tests")),
    )
    assert [members[b"checkpoint"].decode() for _, members in await redis.xrange("audit:checkpoints")] == signed
    assert signed[0] in caplog.text


def test_a_public_key_cannot_sign_checkpoints(settings, tmp_path):
    pem = tmp_path / "checkpoint.pem"
    pem.write_bytes(RSAKey.generate_key(2048).as_pem(private=False))
    with pytest.raises(CheckpointKeyInvalid):
        open_journal(
            service="tests", settings=settings.model_copy(update={"audit_checkpoint_key_file": pem}), redis=None
        )


def mismatched_halves() -> rsa.RSAPrivateKey:
    own = rsa.generate_private_key(65537, 2048).private_numbers()
    mismatched = rsa.RSAPrivateNumbers(own.p, own.q, own.d + 2, own.dmp1 + 2, own.dmq1, own.iqmp, own.public_numbers)
    return mismatched.private_key(unsafe_skip_rsa_key_validation=True)


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        (mismatched_halves, NoEncryption()),
        (lambda: ec.generate_private_key(ec.SECP256R1()), NoEncryption()),
        (lambda: rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"password")),
    ],
    ids=["mismatched halves", "not RSA", "encrypted"],
)
def test_a_key_that_cannot_sign_stops_the_start(tmp_path, key, encryption):
    pem = tmp_path / "checkpoint.pem"
    pem.write_bytes(key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    with pytest.raises(CheckpointKeyInvalid):
        load_checkpoint_key(pem, signs=True)


async def test_a_checkpoint_of_another_key_is_refused(tmp_path):
    checkpoints = Checkpoints(
        service="tests",
        key=RSAKey.generate_key(2048),
        chain_key_id="",
        directory=tmp_path / "slot",
        redis=None,
        clock_ns=lambda: 0,
    )
    await checkpoints.write(ChainHead("j", 1, "d"))
    signed = (tmp_path / "slot" / "checkpoints.jws").read_text().strip()
    with pytest.raises(ValueError, match="not signed by this key"):
        read_checkpoint(signed, RSAKey.generate_key(2048))
