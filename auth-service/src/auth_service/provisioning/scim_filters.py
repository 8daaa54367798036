"""Filters of users: `eq` on the attributes that identify a user, combined with `and` (RFC 7644 section 3.4.2.2)."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from auth_service.provisioning.scim_errors import ScimFilterInvalid

__all__ = ["parse_filter"]

_MAX_CHARACTERS = 1000
_USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:user:"
_ATTRIBUTES: Mapping[str, str] = MappingProxyType({"username": "userName", "externalid": "externalId", "id": "id"})
_COMPARISON = re.compile(
    r'\s*(?P<attribute>[A-Za-z0-9:._$-]+)\s+(?P<operator>[A-Za-z]+)\s+(?P<value>"(?:[^"\\]|\\.)*")'
)
_AND = re.compile(r"\s+and(?=\s)", re.IGNORECASE)
_SUPPORTED = 'supported are userName, externalId and id with eq and a text, combined with "and"'


def parse_filter(text: str) -> Mapping[str, str]:
    """The values that a user must have, by the name of the attribute. Raises `ScimFilterInvalid`."""
    if len(text) > _MAX_CHARACTERS:
        raise ScimFilterInvalid(f"the filter has more than {_MAX_CHARACTERS} characters")
    values: dict[str, str] = {}
    position = 0
    while True:
        match = _COMPARISON.match(text, position)
        if match is None:
            raise ScimFilterInvalid(_SUPPORTED)
        attribute = _ATTRIBUTES.get(match["attribute"].lower().removeprefix(_USER_SCHEMA))
        if attribute is None or match["operator"].lower() != "eq" or attribute in values:
            raise ScimFilterInvalid(_SUPPORTED)
        values[attribute] = _read_text(match["value"])
        position = match.end()
        if not text[position:].strip():
            return values
        conjunction = _AND.match(text, position)
        if conjunction is None:
            raise ScimFilterInvalid(_SUPPORTED)
        position = conjunction.end()


def _read_text(literal: str) -> str:
    try:
        value: Any = json.loads(literal)
        str(value).encode()  # raises UnicodeEncodeError, a ValueError, for half of a surrogate pair
    except ValueError as error:
        raise ScimFilterInvalid("a text of the filter is not a JSON string") from error
    return str(value)
