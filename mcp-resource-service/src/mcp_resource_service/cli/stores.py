"""What the commands do with the data of this service in Redis: import people, accept another Redis, re-encrypt."""

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from mcp_resource_service.directory import Directory, parse_people
from mcp_resource_service.directory.people import PersonInvalid
from mcp_resource_service.records import RecordStore
from mcp_resource_service.redis_identity import open_redis_identity
from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.audit import Action
from security_common.encryption import open_encryption_service
from security_common.encryption.reencryption import EncryptedStore
from security_common.service import operator_session, redis_for_command
from security_common.tool_policy.pseudonyms import KeyedPseudonyms, to_consonants

__all__ = ["accept_redis", "encrypted_stores", "import_people"]


async def import_people(settings: ResourceSettings, content: bytes) -> list[str]:
    """Stores the people of an import file, records that, and returns their ids in the order of the file.

    Raises:
        PersonInvalid: the file has an invalid line; then no person is stored.

    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        # Excel in Korean writes CP949 by default. Another encoding is not guessed, because names could be wrong.
        raise PersonInvalid("the file is not UTF-8", hint="save it as `CSV UTF-8`") from None
    people = list(parse_people(text, make_id=_id_maker(settings)))
    async with operator_session(settings, service=SERVICE) as operator:
        await Directory(operator.redis, open_encryption_service(settings.security)).put(people)
        await operator.record(Action.PEOPLE_IMPORTED, reason=f"{len(people)}_people")
    return [person.person_id for person in people]


def _id_maker(settings: ResourceSettings) -> Callable[[str], str]:
    """Returns the function that makes an opaque id from an e-mail address, always the same for one address."""
    key_file = settings.security.pseudonym_key_file
    if key_file is None:
        raise PersonInvalid(
            "no id can be made from an e-mail address without a key",
            hint="set SECURITY_PSEUDONYM_KEY_FILE, or add a person_id to each person",
        )
    pseudonyms = KeyedPseudonyms(key_file)
    return lambda email: f"p_{to_consonants(pseudonyms.digest('directory', email))}"


async def accept_redis(settings: ResourceSettings) -> bool:
    """Accepts the current Redis instead of the previous one and records that.

    Returns False when it is the one that was used before.
    """
    async with operator_session(settings, service=SERVICE) as operator:
        accepted = await open_redis_identity(settings, operator.redis).accept()
        if accepted:
            await operator.record(Action.REDIS_ACCEPTED)
        return accepted


@asynccontextmanager
async def encrypted_stores() -> AsyncGenerator[Mapping[str, EncryptedStore]]:
    """The stores that contain ciphertext, for `security-common keys reencrypt`."""
    settings = ResourceSettings()
    encryption = open_encryption_service(settings.security)
    async with redis_for_command(settings) as redis:
        yield {
            "directory": Directory(redis, encryption),
            "records": RecordStore(redis, encryption, clock=time.time, new_id=secrets.token_hex),
        }
