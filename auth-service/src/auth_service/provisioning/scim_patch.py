"""PATCH of a user (RFC 7644 section 3.5.2), in the forms that Entra ID and Okta send.

Entra ID writes operations with a capital letter and values as texts, and puts paths in place of names in the value of
an operation without a path. Attributes that are known and not stored are accepted and ignored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from auth_service.provisioning.scim_errors import (
    ScimNotMutable,
    ScimPathInvalid,
    ScimSyntaxInvalid,
    ScimTargetMissing,
    ScimValueInvalid,
)
from auth_service.provisioning.user_attributes import (
    UserAttributes,
    fold_names,
    read_active,
    read_email,
    read_external_id,
    read_name,
    read_user_name,
    read_whole_name,
)

__all__ = ["apply_patch"]

_MAX_OPERATIONS = 100
_MAX_PATH_CHARACTERS = 500
_OPERATIONS = frozenset({"add", "replace", "remove"})
_USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:user:"
_ENTERPRISE_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"
_PATH = re.compile(r"(?P<name>\$?[a-z][a-z0-9_-]*)(?:\[(?P<filter>[^\]]*)\])?(?:\.(?P<part>\$?[a-z][a-z0-9_-]*))?")
# The one address of a user that is stored.
_MAIN_EMAIL = re.compile(r'\s*(?:type\s+eq\s+"work"|primary\s+eq\s+"?true"?)\s*', re.IGNORECASE)
_READ_ONLY = frozenset({"id", "meta"})
_IGNORED = frozenset(
    {
        "addresses",
        "entitlements",
        "groups",
        "ims",
        "locale",
        "nickname",
        "password",
        "phonenumbers",
        "photos",
        "preferredlanguage",
        "profileurl",
        "roles",
        "schemas",
        "timezone",
        "title",
        "usertype",
        "x509certificates",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One value for one attribute. `value` is None if it is removed."""

    name: str
    value: Any
    filter: str | None = None
    part: str | None = None


def apply_patch(user: UserAttributes, document: Mapping[str, Any], *, user_id: str) -> UserAttributes:
    """The attributes after all operations. `document` has folded names. Raises the errors of `scim_errors`.

    An `id` that is that of the user is accepted, because Okta repeats it.
    """
    operations: Any = document.get("operations")
    if not isinstance(operations, list) or not 0 < len(cast("list[Any]", operations)) <= _MAX_OPERATIONS:
        raise ScimSyntaxInvalid(f"Operations must be a list of 1 to {_MAX_OPERATIONS} operations")
    changes = [change for operation in cast("list[Any]", operations) for change in _changes_of(operation)]
    # Entra ID sends `displayName` and `name`, in any order, and only one name is stored.
    has_display_name = any(change.name == "displayname" for change in changes)
    for change in changes:
        if change.name != "name":
            user = _apply(user, change, user_id)
        elif not has_display_name:
            user = _change_name(user, change)
    return user


def _changes_of(operation: Any) -> Iterator[_Change]:
    if not isinstance(operation, dict):
        raise ScimSyntaxInvalid("an operation must be an object")
    members = fold_names(cast("dict[str, Any]", operation))
    kind, path, value = members.get("op"), members.get("path"), members.get("value")
    if not isinstance(kind, str) or kind.lower() not in _OPERATIONS:
        raise ScimSyntaxInvalid("op must be add, replace or remove")
    removes = kind.lower() == "remove"
    if path is not None:
        yield _change(path, None if removes else value)
    elif removes:
        raise ScimTargetMissing("remove needs a path")
    elif isinstance(value, dict):
        for name, part in cast("dict[str, Any]", value).items():
            yield _change(name, part)
    else:
        raise ScimValueInvalid("without a path, value must be an object")


def _change(path: Any, value: Any) -> _Change:
    if not isinstance(path, str) or len(path) > _MAX_PATH_CHARACTERS:
        raise ScimPathInvalid("path must be a text")
    folded = path.strip().lower().removeprefix(_USER_SCHEMA)
    if folded.startswith(_ENTERPRISE_SCHEMA):
        return _Change(name="schemas", value=None)  # ignored, like all attributes of this schema
    match = _PATH.fullmatch(folded)
    if match is None:
        raise ScimPathInvalid("the path is not the name of an attribute")
    return _Change(name=match["name"], value=value, filter=match["filter"], part=match["part"])


def _apply(user: UserAttributes, change: _Change, user_id: str) -> UserAttributes:
    match change.name:
        case "active":
            return replace(user, active=read_active(change.value))
        case "username":
            return replace(user, user_name=read_user_name(change.value))
        case "displayname":
            return replace(user, display_name=read_name(change.value) or user.user_name)
        case "externalid":
            return _change_external_id(user, change)
        case "emails":
            return replace(user, email=_email_of(change))
        case "id" if change.value == user_id:
            return user
        case name if name in _READ_ONLY:
            raise ScimNotMutable(f"{name} cannot be changed")
        case name if name in _IGNORED:
            return user
        case _:
            raise ScimPathInvalid("the attribute is not known")


def _change_name(user: UserAttributes, change: _Change) -> UserAttributes:
    """`name` or `name.formatted`; other parts of the name are not stored."""
    if change.part not in {None, "formatted"}:
        return user
    name = read_whole_name(change.value) if change.part is None else read_name(change.value)
    return replace(user, display_name=name or user.user_name)


def _change_external_id(user: UserAttributes, change: _Change) -> UserAttributes:
    if change.value is None:
        raise ScimNotMutable("externalId cannot be removed")
    return replace(user, external_id=read_external_id(change.value))


def _email_of(change: _Change) -> str | None:
    if change.filter is not None and not _MAIN_EMAIL.fullmatch(change.filter):
        raise ScimTargetMissing('only the address for work is stored: emails[type eq "work"]')
    if change.part not in {None, "value"}:
        raise ScimPathInvalid("of emails, only value can be changed")
    return read_email(change.value) if change.value is not None else None
