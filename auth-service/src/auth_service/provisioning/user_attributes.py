"""The attributes of a user that this service stores, read from a resource of SCIM strictly and by name in any case."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from auth_service.accounts.account import MAX_USERNAME_LENGTH
from auth_service.provisioning.scim_errors import ScimSyntaxInvalid, ScimValueInvalid
from security_common.strict_json import parse_json

__all__ = [
    "UserAttributes",
    "fold_names",
    "parse_object",
    "read_active",
    "read_email",
    "read_external_id",
    "read_name",
    "read_user",
    "read_user_name",
    "read_whole_name",
    "unwrap",
]

_MAX_DEPTH = 16
_MAX_NAME_CHARACTERS = 100
_MAX_EMAIL_CHARACTERS = 254
_MAX_SUBJECT_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAttributes:
    """What a provider says about a user. `external_id` is its own id of the user."""

    user_name: str
    external_id: str | None = None
    display_name: str
    email: str | None = None
    active: bool = True


def parse_object(body: bytes | None) -> dict[str, Any]:
    """The JSON object in the body. Raises `ScimSyntaxInvalid`."""
    try:
        content = parse_json(body or b"", max_depth=_MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise ScimSyntaxInvalid("the body is not valid JSON, or nested too deeply") from error
    if not isinstance(content, dict):
        raise ScimSyntaxInvalid("the body is not a JSON object")
    return fold_names(cast("dict[str, Any]", content))


def fold_names(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members with their names in lower case (RFC 7643 section 2.1). Raises `ScimSyntaxInvalid` for duplicates."""
    folded = {name.lower(): value for name, value in members.items()}
    if len(folded) != len(members):
        raise ScimSyntaxInvalid("an attribute appears twice")
    return folded


def read_user(resource: Mapping[str, Any], *, active: bool = True) -> UserAttributes:
    """The attributes of a resource whose names are folded. `active` is used if the resource does not say it."""
    user_name = read_user_name(resource.get("username"))
    emails = resource.get("emails")
    external_id = resource.get("externalid")
    return UserAttributes(
        user_name=user_name,
        external_id=read_external_id(external_id) if external_id is not None else None,
        display_name=_choose_name(resource) or user_name[:_MAX_NAME_CHARACTERS],
        email=read_email(emails) if emails is not None else None,
        active=read_active(resource["active"]) if resource.get("active") is not None else active,
    )


def read_user_name(value: Any) -> str:
    """`userName`. Raises `ScimValueInvalid`."""
    text = _text(value, "userName", MAX_USERNAME_LENGTH)
    if text is None:
        raise ScimValueInvalid("userName is missing")
    return text


def read_external_id(value: Any) -> str:
    """`externalId`. Raises `ScimValueInvalid`."""
    text = _text(value, "externalId", _MAX_SUBJECT_CHARACTERS)
    if text is None:
        raise ScimValueInvalid("externalId is empty")
    return text


def read_name(value: Any) -> str | None:
    """`displayName` and the parts of `name`; None if it is empty. Raises `ScimValueInvalid`."""
    return _text(value, "displayName", _MAX_NAME_CHARACTERS)


def read_whole_name(value: Any) -> str | None:
    """`formatted` of `name`, otherwise its parts; None if all are empty. Raises `ScimValueInvalid`."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ScimValueInvalid("name must be an object")
    parts = fold_names(cast("dict[str, Any]", value))
    words = [read_name(parts.get(part)) for part in ("givenname", "familyname")]
    joined = " ".join(word for word in words if word)[:_MAX_NAME_CHARACTERS]
    return read_name(parts.get("formatted")) or joined or None


def read_active(value: Any) -> bool:
    """`active`; Entra ID sends it as a text. Raises `ScimValueInvalid`."""
    value = unwrap(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ScimValueInvalid("active must be true or false")


def read_email(value: Any) -> str | None:
    """The address among `emails`: the primary one, otherwise that for work, otherwise the first."""
    if isinstance(value, str):
        return _text(value, "emails", _MAX_EMAIL_CHARACTERS)
    entries: Any = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise ScimValueInvalid("emails must be a list of objects")
    addresses = [_read_entry(entry) for entry in cast("list[Any]", entries)]
    preferred = [entry for entry in addresses if entry.get("primary") in (True, "true", "True")]
    preferred += [entry for entry in addresses if entry.get("type") == "work"]
    chosen = [*preferred, *addresses]
    return _text(chosen[0].get("value"), "emails", _MAX_EMAIL_CHARACTERS) if chosen else None


def unwrap(value: Any) -> Any:
    """The value; Entra ID wraps single values in `[{"value": ...}]` in some of its requests."""
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    if len(items) == 1 and isinstance(items[0], dict) and "value" in items[0]:
        return cast("dict[str, Any]", items[0])["value"]
    return items


def _read_entry(entry: Any) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"value": entry}
    if not isinstance(entry, dict):
        raise ScimValueInvalid("emails must be a list of objects")
    return fold_names(cast("dict[str, Any]", entry))


def _choose_name(resource: Mapping[str, Any]) -> str | None:
    """The name to show: `displayName`, otherwise `name`."""
    whole_name = read_whole_name(resource.get("name"))
    return read_name(resource.get("displayname")) or whole_name


def _text(value: Any, name: str, max_characters: int) -> str | None:
    """The text without surrounding white space; None if it is absent or empty."""
    value = unwrap(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ScimValueInvalid(f"{name} must be a text")
    text = value.strip()
    if len(text) > max_characters or not text.isprintable():
        raise ScimValueInvalid(f"{name} must have at most {max_characters} printable characters")
    return text or None
