"""`user import`: people from a file into the directory."""

from collections.abc import Callable

from mcp_resource_service.directory import Directory, parse_people
from mcp_resource_service.directory.person import PersonInvalid
from mcp_resource_service.settings import ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.protection import KeyedPseudonyms, letters
from security_common.service import connect

__all__ = ["import_text"]


async def import_text(settings: ResourceSettings, text: str) -> list[str]:
    """Stores everybody in `text`, or nobody when a line is wrong; returns their ids in order."""
    people = list(parse_people(text, make_id=_id_maker(settings)))
    async with connect(settings) as redis:
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
    return lambda email: f"p_{letters(pseudonyms.digest('directory', email))}"
