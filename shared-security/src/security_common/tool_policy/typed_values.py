"""The walk's handlers for numbers, dates, bytes, dataclasses and pydantic models."""

import copy
import dataclasses
import math
import re
import uuid
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any, cast

from pydantic import AnyUrl, BaseModel, SecretBytes, SecretStr
from pydantic_core import Url

from security_common.pii import FieldContext, member_contexts
from security_common.tool_policy.data_walk import DataWalk, handles, rebuild
from security_common.tool_policy.errors import UnsupportedValue

MAX_WHOLE_PART = 10**40
TEXT_ENCODINGS = ("utf-8", "cp949")
UTF16_BYTE_ORDER_MARKS = {b"\xff\xfe", b"\xfe\xff"}

_PRINTABLE_RUN = re.compile(rb"[\x20-\x7e]{10,}")
"""Ten printable bytes in a row, once zero bytes are removed, are taken for text. Shorter runs occur in every image."""


@handles(int, complex, date, time, timedelta, uuid.UUID, IPv4Address, IPv6Address)
def _handle_scalar(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    try:
        text = str(value)
    except ValueError:  # Python converts at most 4,300 digits
        raise UnsupportedValue("a number is too long to be searched", hint="send it as text") from None
    walk.count_characters(len(text))
    return walk.leaves.protect_scalar(value, text, context)


@handles(float, Decimal, Fraction)
def _handle_fraction(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    """Searches the whole part only: no personal number has a fraction, and fraction digits cause false findings."""
    try:
        whole_part = int(value) if math.isfinite(value) and abs(value) < MAX_WHOLE_PART else 0
    except (ValueError, OverflowError):  # a signalling NaN, or a fraction too large for a float
        whole_part = 0
    return walk.leaves.protect_scalar(value, str(whole_part), context)


@handles(PurePath, AnyUrl, Url, IPv4Network, IPv6Network, SecretStr, SecretBytes)
def _handle_as_text(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    content = value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else str(value)
    protected = walk.visit(content, context)
    return value if protected is content else rebuild(value.__class__, protected)


@handles(bytes, bytearray, memoryview)
def _handle_bytes(walk: DataWalk, value: bytes | bytearray | memoryview, context: FieldContext | None) -> Any:
    """Bytes that are text are protected as text. In other bytes, any text must be free of personal data."""
    content = bytes(value)
    for encoding in TEXT_ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        protected = walk.visit_text(text, context)
        if protected is not text:
            return rebuild(value.__class__, protected.encode(encoding, "replace"))
        if 0 not in content:
            return value
        break  # zero bytes: it may be text in another encoding
    if content[:2] in UTF16_BYTE_ORDER_MARKS:
        contained_text = content.decode("utf-16", "replace")
    else:
        contained_text = b"\n".join(_PRINTABLE_RUN.findall(content.replace(b"\0", b""))).decode("ascii")
    walk.count_characters(len(contained_text))
    walk.leaves.require_clean(contained_text, context)
    return value


class _AnyDataclass(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return dataclasses.is_dataclass(subclass)


class _Dataclass(metaclass=_AnyDataclass):
    """An abstract base class of all dataclasses, which have no base class in common."""


@handles(_Dataclass)
def _handle_dataclass(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    field_names = [each.name for each in dataclasses.fields(value)]
    members = {name: getattr(value, name) for name in field_names if hasattr(value, name)}
    members |= getattr(value, "__dict__", {})
    changes = _changed_members(walk, members, context)
    protected = copy.copy(value) if changes else value
    for name, new in changes.items():
        object.__setattr__(protected, name, new)  # also of a frozen dataclass
    _check_computed_output(walk, protected)
    return protected


@handles(BaseModel)
def _handle_model(walk: DataWalk, value: BaseModel, context: FieldContext | None) -> Any:
    """Walks fields, extra members, cached properties and private attributes, since the tool can return any of them."""
    places = ("__dict__", "__pydantic_extra__", "__pydantic_private__")
    changes = {place: _changed_members(walk, getattr(value, place) or {}, context) for place in places}
    protected = copy.copy(value) if any(changes.values()) else value
    for place, changed in changes.items():
        if changed:
            getattr(protected, place).update(changed)
    _check_computed_output(walk, protected)
    return protected


def _check_computed_output(walk: DataWalk, value: Any) -> None:
    """Searches what a model or pydantic dataclass serializes beyond the content of its fields.

    Raises UnsupportedValue if computed output contains personal data: there is no field in which it could be masked.
    """
    kind = cast("Any", type(value))
    if not _has_computed_output(kind):
        return
    try:
        output = kind.__pydantic_serializer__.to_python(value, mode="json", warnings=False)
    except ValueError:  # for example, bytes that are not text have no JSON form
        output = kind.__pydantic_serializer__.to_python(value, warnings=False)
    if isinstance(output, dict):
        # Members that equal a field have been searched and counted already.
        fields = {name: getattr(value, name, None) for name in kind.__pydantic_fields__}
        members = cast("dict[str, Any]", output)
        output = {name: member for name, member in members.items() if fields.get(name) != member}
    if walk.visit(output) is not output:
        raise UnsupportedValue("the computed output of a model contains personal data", hint="make it a field")


@lru_cache(maxsize=1024)
def _has_computed_output(kind: Any) -> bool:
    """True if serialization may return more than the fields contain: computed fields or custom serializers."""
    if not hasattr(kind, "__pydantic_serializer__"):
        return False
    decorators: Any = kind.__pydantic_decorators__
    if decorators.computed_fields or decorators.field_serializers or decorators.model_serializers:
        return True
    config: Any = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
    if config.get("json_encoders"):
        return True
    # A serializer may be anywhere inside the type of a field, so the text of the annotation is searched.
    return any("Serializer(" in f"{each.annotation!r} {each.metadata}" for each in kind.__pydantic_fields__.values())


def _changed_members(walk: DataWalk, members: Mapping[str, Any], context: FieldContext | None) -> dict[str, Any]:
    """The members of a dataclass or model that changed. Raises UnsupportedValue where a change is not possible."""
    changes: dict[str, Any] = {}
    for (name, old), of_member in zip(members.items(), member_contexts(list(members.items()), context), strict=True):
        is_plain_name = name.isascii() and name.isidentifier()
        if not is_plain_name and walk.leaves.protect_key(name) is not name:
            raise UnsupportedValue("the name of a member contains personal data", hint="use a dict instead")
        new = walk.visit(old, of_member)
        if new is old:
            continue
        if isinstance(new, str) and not isinstance(old, str):
            raise UnsupportedValue(
                f"{name} has the type {type(cast('object', old)).__name__} and cannot contain ciphertext",
                hint="declare it as text, or use the policy mask",
            )
        changes[name] = new
    return changes
