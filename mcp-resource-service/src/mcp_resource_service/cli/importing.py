"""`user import`: people from a file into the directory."""

from collections.abc import Callable

from mcp_resource_service.directory import Directory, parse_people
from mcp_resource_service.directory.people import PersonInvalid
from mcp_resource_service.settings import ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.service import redis_for_command
from security_common.tool_policy.pseudonyms import KeyedPseudonyms, to_consonants

__all__ = ["import_people_of"]


async def import_people_of(settings: ResourceSettings, raw: bytes) -> list[str]:
    """Stores everybody in a file, or nobody when a line is wrong; returns their ids in order."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Excel in Korean writes CP949 unless it is asked for UTF-8: names must not be guessed.
        raise PersonInvalid("the file is not UTF-8", hint="save it as `CSV UTF-8`") from None
    people = list(parse_people(text, make_id=_id_maker(settings)))
    async with redis_for_command(settings) as redis:
        await Directory(redis, open_encryption_service(settings.security)).put(people)
    return [person.person_id for person in people]


def _id_maker(settings: ResourceSettings) -> Callable[[str], str]:
    key_file = settings.security.pseudonym_key_file
    if key_file is None:
        raise PersonInvalid(
            "without a key no id can be made from an e-mail address",
            hint="set SECURITY_PSEUDONYM_KEY_FILE, or give every person a person_id",
        )
    pseudonyms = KeyedPseudonyms(key_file)
    return lambda email: f"p_{to_consonants(pseudonyms.digest('directory', email))}"
