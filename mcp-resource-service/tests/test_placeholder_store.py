"""The store of placeholders in a real Redis: stable, bound to the owner, encrypted, limited in number and time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from security_common.encryption import EncryptionService
from security_common.pii import PIIKind
from security_common.tool_policy import PlaceholderLimitReached, PlaceholdersUnavailable
from security_common.tool_policy.placeholder_store import PersonalValue
from security_common.tool_policy.pseudonyms import KeyedPseudonyms
from security_common.tool_policy.redis_placeholder_store import RedisPlaceholderStore

pytestmark = pytest.mark.anyio

ME, OTHER = "http://issuer u_1", "http://issuer u_2"
PHONE, NAME = "010-1234-5678", "홍길동"
MakeStore = Callable[..., RedisPlaceholderStore]


@pytest.fixture
def make_store(redis: Redis, encryption: EncryptionService, tmp_path: Path) -> MakeStore:
    key_file = tmp_path / "pseudonym.key"
    key_file.write_text("b3f1c29d8e7a4650ab12cd34ef56a789b3f1c29d8e7a4650")
    key_file.chmod(0o600)

    def make(client: Redis = redis, **options: Any) -> RedisPlaceholderStore:
        return RedisPlaceholderStore(
            client, encryption, KeyedPseudonyms(key_file), key_prefix="mcp:placeholders:", **options
        )

    return make


@pytest.fixture
def store(make_store: MakeStore) -> RedisPlaceholderStore:
    return make_store()


async def assign(store: RedisPlaceholderStore, owner: str, *numbers: str) -> list[str]:
    values = {PersonalValue.of(PIIKind.PHONE, number): number for number in numbers}
    assigned = await store.assign(owner, values)
    return [assigned[value] for value in values]


async def resolve(store: RedisPlaceholderStore, owner: str, *placeholders: str) -> Any:
    return await store.resolve(owner, placeholders, reveal={PIIKind.PHONE})


async def test_replicas_share_the_placeholders_of_an_owner(make_store: MakeStore) -> None:
    first, second = make_store(), make_store()
    (placeholder,) = await assign(first, ME, PHONE)
    assert await assign(second, ME, "+82 10 1234 5678") == [placeholder]
    assert await resolve(second, ME, placeholder) == {placeholder: PHONE}


async def test_calls_at_the_same_time_get_the_same_placeholder(make_store: MakeStore) -> None:
    answers = await asyncio.gather(*(assign(make_store(), ME, PHONE) for _ in range(10)))
    assert len({placeholder for (placeholder,) in answers}) == 1


async def test_other_owners_have_other_placeholders(store: RedisPlaceholderStore) -> None:
    (mine,), (theirs,) = await assign(store, ME, PHONE), await assign(store, OTHER, PHONE)
    assert mine != theirs
    assert await resolve(store, OTHER, mine) == {}


async def test_a_kind_that_is_not_revealed_has_no_value(store: RedisPlaceholderStore) -> None:
    value = PersonalValue.of(PIIKind.PERSON, NAME)
    placeholder = (await store.assign(ME, {value: NAME}))[value]
    assert await resolve(store, ME, placeholder, "[PHONE_2B3C4D]") == {placeholder: None}


async def test_redis_has_no_plaintext_and_no_owner(store: RedisPlaceholderStore, redis: Redis) -> None:
    await assign(store, ME, PHONE)
    keys = sorted(await redis.keys("*"))
    assert [key.startswith("mcp:placeholders:{") for key in keys] == [True, True]
    content = str([keys, await redis.hgetall(keys[0]), await redis.zrange(keys[1], 0, -1)])
    assert "enc:v1:" in content
    for clear in (PHONE, "01012345678", "u_1", "issuer"):
        assert clear not in content


async def test_a_ciphertext_of_another_owner_is_not_a_value(store: RedisPlaceholderStore, redis: Redis) -> None:
    (mine,), (theirs,) = await assign(store, ME, PHONE), await assign(store, OTHER, "010-9999-8888")
    hashes = [key for key in await redis.keys("*") if not key.endswith(":expiry")]
    stored = {name: value for key in hashes for name, value in (await redis.hgetall(key)).items()}
    (my_key,) = [key for key in hashes if await redis.hexists(key, f"p:{mine}")]
    digest = stored[f"p:{mine}"].partition(":")[0]
    ciphertext = stored[f"p:{theirs}"].partition(":")[2]
    await redis.hset(my_key, f"p:{mine}", f"{digest}:{ciphertext}")
    assert await resolve(store, ME, mine) == {}


async def test_placeholders_expire_unless_they_are_assigned_again(make_store: MakeStore, redis: Redis) -> None:
    now = [time.time()]
    store = make_store(lifetime_seconds=60, clock=lambda: now[0])
    used, unused = await assign(store, ME, PHONE, "010-9999-8888")
    now[0] += 59
    assert await assign(store, ME, PHONE) == [used]
    now[0] += 58
    assert await resolve(store, ME, used, unused) == {used: PHONE}
    now[0] += 3
    assert await resolve(store, ME, used) == {}
    assert await assign(store, ME, PHONE) != [used]
    assert [0 < await redis.ttl(key) <= 60 for key in await redis.keys("*")] == [True, True]
    (hash_key,) = [key for key in await redis.keys("*") if not key.endswith(":expiry")]
    assert await redis.hlen(hash_key) == 2


async def test_an_owner_can_be_forgotten(store: RedisPlaceholderStore, redis: Redis) -> None:
    (mine,), (theirs,) = await assign(store, ME, PHONE), await assign(store, OTHER, PHONE)
    await store.forget(ME)
    assert await resolve(store, ME, mine) == {}
    assert await resolve(store, OTHER, theirs) == {theirs: PHONE}
    await store.forget(OTHER)
    assert await redis.keys("*") == []


async def test_an_owner_has_a_limited_number_of_placeholders(make_store: MakeStore) -> None:
    store = make_store(per_owner=3)
    known = await assign(store, ME, "010-1111-2220", "010-1111-2221", "010-1111-2222")
    with pytest.raises(PlaceholderLimitReached):
        await assign(store, ME, "010-1111-2223")
    assert await assign(store, ME, "010-1111-2220") == known[:1]
    await assign(store, OTHER, "010-1111-2223")


async def test_many_values_take_two_round_trips(store: RedisPlaceholderStore, redis: Redis) -> None:
    numbers = [f"010-{number:04}-5678" for number in range(2000, 3000)]
    await assign(store, ME, numbers[0])
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    placeholders = await assign(store, ME, *numbers)
    assert len(set(placeholders)) == 1000
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before + 2


async def test_a_value_that_is_not_valid_unicode_can_be_put_back(store: RedisPlaceholderStore) -> None:
    value = PersonalValue.of(PIIKind.PHONE, "010\ud800")
    placeholder = (await store.assign(ME, {value: "010\ud800"}))[value]
    assert await resolve(store, ME, placeholder) == {placeholder: "010\ud800"}


@pytest.fixture
async def stopped_redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with Redis(unix_socket_path=str(tmp_path / "no.sock"), decode_responses=True) as client:
        yield client


async def test_a_redis_that_does_not_answer_is_reported_as_unavailable(
    make_store: MakeStore, stopped_redis: Redis
) -> None:
    store = make_store(stopped_redis)
    for work in (assign(store, ME, PHONE), resolve(store, ME, "[PHONE_2B3C4D]"), store.forget(ME)):
        with pytest.raises(PlaceholdersUnavailable) as unavailable:
            await work
        assert unavailable.value.error == "temporarily_unavailable"
