"""The record store: durable when keep() returns, readable by the owner only, ciphertext bound to the record."""

import functools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mcp_resource_service.records import Owner, RecordStore
from mcp_resource_service.store_errors import NotFound, QuotaReached, StoreUnavailable
from security_common.encryption import DecryptionFailed, EncryptionService, Keyring, ReencryptionResult

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALICE, BOB = Owner("http://issuer", "u_alice"), Owner("http://issuer", "u_bob")
TEXT = "홍길동 880101-1234568"


@pytest.fixture
def records(redis, encryption, new_id):
    return RecordStore(redis, encryption, clock=NOON.timestamp, new_id=new_id)


async def test_the_owner_can_read_a_stored_record(records):
    stored = await records.store(ALICE, "note", TEXT)
    record = await records.read(ALICE, stored.record_id)
    assert (record.text, record.field, record.stored_at) == (TEXT, "note", NOON)


@pytest.mark.parametrize("other_owner", [BOB, Owner("http://other-issuer", ALICE.subject)])
async def test_other_owners_get_the_error_for_a_missing_record(records, other_owner):
    stored = await records.store(ALICE, "note", TEXT)
    with pytest.raises(NotFound) as of_another_owner:
        await records.read(other_owner, stored.record_id)
    with pytest.raises(NotFound) as missing:
        await records.read(other_owner, "rec_nothing")
    assert of_another_owner.value.description == missing.value.description


async def test_the_quota_counts_the_records_of_one_owner_only(redis, encryption, new_id):
    records = RecordStore(redis, encryption, clock=NOON.timestamp, new_id=new_id, per_owner=2)
    carol = Owner("http://issuer", "u_carol_with_many_records")
    for _ in range(2):
        await records.store(carol, "note", TEXT)
    with pytest.raises(QuotaReached) as full:
        await records.store(carol, "note", TEXT)
    assert "MCP_RECORDS_PER_OWNER" in full.value.hint
    assert await records.store(Owner("http://other-issuer", carol.subject), "note", TEXT)


async def test_redis_contains_no_plaintext(records, redis):
    stored = await records.store(ALICE, "note", TEXT)
    assert "880101" not in str(await redis.hgetall(f"mcp:records:{stored.record_id}"))


async def test_content_moved_to_another_record_field_or_owner_cannot_be_decrypted(records, redis):
    one = await records.store(ALICE, "note", TEXT)
    two = await records.store(ALICE, "note", "something else")
    await redis.hset(
        f"mcp:records:{two.record_id}", "content", await redis.hget(f"mcp:records:{one.record_id}", "content")
    )
    with pytest.raises(DecryptionFailed):
        await records.read(ALICE, two.record_id)
    await redis.hset(f"mcp:records:{one.record_id}", "field", "email")
    with pytest.raises(DecryptionFailed):
        await records.read(ALICE, one.record_id)
    await redis.hset(f"mcp:records:{one.record_id}", mapping={"field": "note", "subject": BOB.subject})
    with pytest.raises(DecryptionFailed):
        await records.read(BOB, one.record_id)


async def test_the_list_contains_own_records_newest_first(redis, encryption, new_id):
    moments = iter((1.0, 2.0, 3.0))
    records = RecordStore(redis, encryption, clock=lambda: next(moments), new_id=new_id)
    first = await records.store(ALICE, "first", TEXT)
    await records.store(BOB, "other", TEXT)
    last = await records.store(ALICE, "last", TEXT)
    assert await records.list_of(ALICE, limit=10) == [last, first]
    assert await records.list_of(ALICE, limit=1) == [last]


async def test_reencrypt_moves_every_record_to_the_primary_key(redis, keyring, new_id):
    rings = [keyring]
    records = RecordStore(redis, EncryptionService(lambda: rings[-1]), clock=NOON.timestamp, new_id=new_id)
    stored = [await records.store(ALICE, "note", TEXT) for _ in range(3)]
    rings.append(_rotated(keyring))
    assert [changed async for changed in records.reencrypt()] == [ReencryptionResult.REENCRYPTED] * 3
    assert [changed async for changed in records.reencrypt()] == [ReencryptionResult.CURRENT] * 3
    rings.append(_without_old_keys(rings[-1]))
    assert (await records.read(ALICE, stored[0].record_id)).text == TEXT


async def test_keep_fails_when_redis_does_not_write_to_disk(redis, records):
    await redis.config_set("appendonly", "no")
    try:
        with pytest.raises(StoreUnavailable):
            await records.store(ALICE, "note", TEXT)
    finally:
        await redis.config_set("appendonly", "yes")


async def test_without_redis_every_method_raises_store_unavailable(tmp_path: Path, encryption, new_id):
    async with Redis(unix_socket_path=str(tmp_path / "missing.sock"), retry=Retry(NoBackoff(), 0)) as redis:
        records = RecordStore(redis, encryption, clock=NOON.timestamp, new_id=new_id)
        for attempt in (
            records.store(ALICE, "note", TEXT),
            records.read(ALICE, "rec_x"),
            records.list_of(ALICE, limit=1),
        ):
            with pytest.raises(StoreUnavailable) as failure:
                await attempt
            assert failure.value.error == "temporarily_unavailable"


def _rotated(ring: Keyring) -> Keyring:
    extended = ring.add()
    return extended.promote(extended.keys[-1].key_id)


def _without_old_keys(ring: Keyring) -> Keyring:
    old = [key.key_id for key in ring.keys if key.key_id != ring.primary.key_id]
    return functools.reduce(Keyring.retire, old, ring)
