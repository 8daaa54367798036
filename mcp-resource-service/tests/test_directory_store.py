"""The directory: encrypted field by field, opaque ids, import from CSV and JSON Lines."""

import pytest

from mcp_resource_service.directory import Directory, Person, parse_people
from mcp_resource_service.directory.people import PersonInvalid
from mcp_resource_service.store_errors import NotFound
from security_common.encryption import DecryptionFailed, EncryptionService, ReencryptionResult

HONG = Person(person_id="p_hong", name="홍길동", email="hong@example.com", phone="010-1234-5678")


@pytest.fixture
def directory(redis, encryption) -> Directory:
    return Directory(redis, encryption)


@pytest.mark.anyio
async def test_a_stored_person_is_found_with_all_fields(directory):
    await directory.put([HONG])
    assert await directory.find("p_hong") == HONG


@pytest.mark.anyio
async def test_a_person_imported_again_is_replaced(directory):
    await directory.put([HONG])
    moved = Person(person_id="p_hong", name="홍길동", email="gildong@example.com")
    await directory.put([moved])
    assert await directory.find("p_hong") == moved


@pytest.mark.anyio
async def test_an_unknown_id_raises_not_found(directory):
    with pytest.raises(NotFound):
        await directory.find("p_unknown")


@pytest.mark.anyio
async def test_redis_contains_no_plaintext(directory, redis):
    await directory.put([HONG])
    stored = await redis.hgetall("mcp:users:p_hong")
    assert set(stored) == {"name", "email", "phone", "department", "position"}
    assert all(value.startswith("enc:v1:") for value in stored.values())


@pytest.mark.anyio
async def test_a_field_moved_to_another_person_cannot_be_decrypted(directory, redis):
    other = Person(person_id="p_kim", name="김영희", email="kim@example.com")
    await directory.put([HONG, other])
    await redis.hset("mcp:users:p_kim", "email", await redis.hget("mcp:users:p_hong", "email"))
    with pytest.raises(DecryptionFailed):
        await directory.find("p_kim")


@pytest.mark.anyio
async def test_reencrypt_moves_every_person_to_the_primary_key(redis, keyring):
    rings = [keyring]
    directory = Directory(redis, EncryptionService(lambda: rings[-1]))
    await directory.put([HONG])
    extended = keyring.add()
    rings.append(extended.promote(extended.keys[-1].key_id))
    assert [changed async for changed in directory.reencrypt()] == [ReencryptionResult.REENCRYPTED]
    assert [changed async for changed in directory.reencrypt()] == [ReencryptionResult.CURRENT]
    assert await directory.find("p_hong") == HONG


def test_csv_and_json_lines_result_in_the_same_person():
    csv = "\ufeffname,email,phone\n홍길동,hong@example.com,010-1234-5678\n"
    lines = '{"name": "홍길동", "email": "Hong@Example.com", "phone": "010-1234-5678"}\n\n'
    make_id = {"hong@example.com": "p_hong"}.__getitem__
    (from_csv,), (from_json,) = list(parse_people(csv, make_id=make_id)), list(parse_people(lines, make_id=make_id))
    assert from_csv == HONG
    assert from_json.person_id == "p_hong"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,email\n홍길동,\n", "line 2 has no email"),
        ('{"name": "홍길동"}', "line 1 has no email"),
        ('{"name": "홍길동", "email": "a@b.kr"}\n[]', "line 2 is not a JSON object"),
        ('{"name": 7, "email": "a@b.kr"}', "line 1: name is not text"),
        ('{"name": "n", "email": "a@b.kr", "person_id": "880101-1234568"}', "line 1: person_id is not allowed"),
    ],
)
def test_the_error_for_an_invalid_line_names_the_line_without_its_values(text, problem):
    with pytest.raises(PersonInvalid) as failure:
        list(parse_people(text, make_id=lambda _: "p_x"))
    assert failure.value.description == problem
