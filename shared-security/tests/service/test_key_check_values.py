"""A wrong secret is found by the check value that the service stored in Redis when it first used the right one."""

import pytest

from security_common.encryption import Keyring
from security_common.service import RedisIdentity, SecretReplaced, ServiceSettings, connect_redis, secrets_in_use
from security_common.service.key_check_values import KeyCheckValues

pytestmark = pytest.mark.anyio
PEPPER = "p" * 43


@pytest.fixture
async def redis(redis_server):
    async with connect_redis(ServiceSettings(redis_url=redis_server.url)) as client:
        await client.flushall()
        yield client


@pytest.fixture
def make_values(redis, tmp_path):
    """Makes the check values of a pepper and a keyring; without a text the file is not written."""

    def make(*, pepper: str = "", keyring: str = "") -> KeyCheckValues:
        files = {"PEPPER_FILE": pepper, "KEYRING_FILE": keyring}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        secrets = secrets_in_use(
            keys={"PEPPER_FILE": tmp_path / "PEPPER_FILE"}, keyrings={"KEYRING_FILE": tmp_path / "KEYRING_FILE"}
        )
        return KeyCheckValues(redis, space="test", secrets=secrets)

    return make


async def test_a_secret_that_was_not_used_before_is_accepted_and_remembered(make_values):
    values = make_values(pepper=PEPPER)
    assert await values.find_replaced() == []
    await values.add_new()
    assert await make_values(pepper=PEPPER).find_replaced() == []
    assert await make_values(pepper="q" * 43).find_replaced() == ["PEPPER_FILE"]


async def test_a_keyring_stays_right_while_its_keys_are_rotated(make_values):
    first = Keyring.generate()
    both = first.add()
    await make_values(keyring=first.dump()).add_new()
    added = make_values(keyring=both.dump())
    assert await added.find_replaced() == []
    await added.add_new()
    newest = both.promote(both.keys[-1].key_id).retire(first.primary.key_id, destroy=True)
    assert await make_values(keyring=newest.dump()).find_replaced() == []
    assert await make_values(keyring=Keyring.generate().dump()).find_replaced() == ["KEYRING_FILE"]


async def test_a_wrong_secret_does_not_replace_the_check_value_of_the_right_one(make_values):
    await make_values(pepper=PEPPER).add_new()
    wrong = make_values(pepper="q" * 43)
    await wrong.add_new()
    assert await wrong.find_replaced() == ["PEPPER_FILE"]


async def test_an_operator_can_accept_a_secret_that_was_replaced_on_purpose(make_values):
    await make_values(pepper=PEPPER).add_new()
    new = make_values(pepper="q" * 43)
    assert await new.accept()
    assert await new.find_replaced() == []
    assert not await new.accept()


async def test_no_check_value_is_stored_of_a_secret_that_could_be_guessed(make_values, redis):
    await make_values(pepper="short secret").add_new()
    assert await redis.hgetall("test:key_check_values") == {}


async def test_redis_contains_a_truncated_digest_and_not_the_secret(make_values, redis):
    await make_values(pepper=PEPPER).add_new()
    (value,) = (await redis.hgetall("test:key_check_values")).values()
    assert len(value) == 16
    assert PEPPER[:8] not in value


async def test_the_identity_of_redis_includes_the_secrets(redis, tmp_path):
    def make(pepper: str) -> RedisIdentity:
        (tmp_path / "pepper").write_text(pepper)
        return RedisIdentity(
            redis,
            space="test",
            id_file=tmp_path / "redis_identity",
            accept_command="service redis accept",
            secrets_in_use=secrets_in_use(keys={"PEPPER_FILE": tmp_path / "pepper"}, keyrings={}),
        )

    await make(PEPPER).check()
    wrong = make("q" * 43)
    with pytest.raises(SecretReplaced) as found:
        await wrong.check()
    assert "PEPPER_FILE" in found.value.description
    assert "service redis accept" in found.value.hint
    assert wrong.problem is found.value
    assert await make(PEPPER).examine() is None
