"""The walk's handlers for numbers, dates, bytes, dataclasses and pydantic models."""

import copy
import dataclasses
import uuid
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any, cast

from pydantic import AnyUrl, BaseModel, SecretBytes, SecretStr
from pydantic_core import Url

from security_common.pii import FieldContext, member_contexts
from security_common.strict_json import WrittenNumber
from security_common.tool_policy.binary_content import protect_bytes
from security_common.tool_policy.data_walk import DataWalk, handles, rebuild
from security_common.tool_policy.errors import UnsupportedValue


@handles(int, float)
def _handle_number(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    if isinstance(value, Enum) or type(value) in {int, float}:
        return walk.visit_number(value, context)
    # The number itself, not what the methods of a subclass show.
    plain = int.__pos__(value) if isinstance(value, int) else float.__pos__(value)
    return walk.visit_number(plain, context)


@handles(Decimal, Fraction)
def _handle_exact_number(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    return walk.visit_number(value, context)


@handles(WrittenNumber)
def _handle_written_number(walk: DataWalk, value: WrittenNumber, context: FieldContext | None) -> Any:
    return walk.visit_written_number(value, context)


@handles(complex, date, time, timedelta, uuid.UUID, IPv4Address, IPv6Address)
def _handle_scalar(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    return walk.visit_scalar(value, str(value), context)


@handles(PurePath, AnyUrl, Url, IPv4Network, IPv6Network, SecretStr, SecretBytes)
def _handle_as_text(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    content = value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else str(value)
    protected = walk.visit(content, context)
    return value if protected is content else rebuild(value.__class__, protected)


@handles(bytes, bytearray, memoryview)
def _handle_bytes(walk: DataWalk, value: bytes | bytearray | memoryview, context: FieldContext | None) -> Any:
    protected = protect_bytes(walk, bytes(value), context)
    if isinstance(value, bytearray):
        return bytearray(protected)
    return memoryview(protected) if isinstance(value, memoryview) else protected


class _AnyDataclass(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return dataclasses.is_dataclass(subclass)


class _Dataclass(metaclass=_AnyDataclass):
    """An abstract base class of all dataclasses, which have no base class in common."""


@handles(_Dataclass)
def _handle_dataclass(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    names = [each.name for each in dataclasses.fields(value)]
    for base in type(value).__mro__:
        slots = getattr(base, "__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    members = {name: getattr(value, name) for name in names if not name.startswith("__") and hasattr(value, name)}
    members |= getattr(value, "__dict__", {})
    protected = _copy(value)
    for name, new in _protect_attributes(walk, members, context).items():
        object.__setattr__(protected, name, new)  # also of a frozen dataclass
    _check_computed_output(walk, protected)
    return protected


@handles(BaseModel)
def _handle_model(walk: DataWalk, value: BaseModel, context: FieldContext | None) -> Any:
    """Walks fields, extra members, cached properties and private attributes, since the tool can return any of them."""
    protected = _copy(value)
    for storage_name in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        storage = getattr(protected, storage_name)
        if storage:
            storage.update(_protect_attributes(walk, storage, context))
    _check_computed_output(walk, protected)
    return protected


def _copy(value: Any) -> Any:
    """A shallow copy. Raises UnsupportedValue if the type does not make one."""
    copied = copy.copy(value)
    if copied is value:
        raise UnsupportedValue(f"a {type(value).__name__} cannot be copied", hint="return plain data")
    return copied


def _check_computed_output(walk: DataWalk, value: Any) -> None:
    """Searches what a model or pydantic dataclass serializes beyond the content of its fields.

    Raises UnsupportedValue if computed output contains personal data: there is no field in which it could be masked.
    """
    value_type = cast("Any", type(value))
    if not _has_computed_output(value_type):
        return
    try:
        output = value_type.__pydantic_serializer__.to_python(value, mode="json", warnings=False)
    except ValueError:  # for example, bytes that are not text have no JSON form
        output = value_type.__pydantic_serializer__.to_python(value, warnings=False)
    if isinstance(output, dict):
        # Members that equal a field have been searched and counted already.
        fields = {name: getattr(value, name, None) for name in value_type.__pydantic_fields__}
        members = cast("dict[str, Any]", output)
        output = {name: member for name, member in members.items() if fields.get(name) != member}
    changes_before = walk.changes
    walk.visit(output)
    if walk.changes != changes_before:
        raise UnsupportedValue("the computed output of a model contains personal data", hint="make it a field")


@lru_cache(maxsize=1024)
def _has_computed_output(value_type: Any) -> bool:
    """True if serialization may return more than the fields contain: computed fields or custom serializers."""
    if not hasattr(value_type, "__pydantic_serializer__"):
        return False
    decorators: Any = value_type.__pydantic_decorators__
    if decorators.computed_fields or decorators.field_serializers or decorators.model_serializers:
        return True
    config: Any = getattr(value_type, "model_config", None) or getattr(value_type, "__pydantic_config__", {})
    if config.get("json_encoders"):
        return True
    # A serializer may be anywhere inside the type of a field, so the text of the annotation is searched.
    return any(
        "Serializer(" in f"{each.annotation!r} {each.metadata}" for each in value_type.__pydantic_fields__.values()
    )


def _protect_attributes(walk: DataWalk, members: Mapping[str, Any], context: FieldContext | None) -> dict[str, Any]:
    """The protected members of a dataclass or model. Raises UnsupportedValue where a change is not possible."""
    protected: dict[str, Any] = {}
    for (name, old), member_context in zip(
        members.items(), member_contexts(list(members.items()), context), strict=True
    ):
        is_plain_name = name.isascii() and name.isidentifier()
        if not is_plain_name and walk.leaves.protect_key(name) is not name:
            raise UnsupportedValue("the name of a member contains personal data", hint="use a dict instead")
        new = walk.visit(old, member_context)
        if isinstance(new, str) and not isinstance(old, str):
            raise UnsupportedValue(
                f"{name} has the type {type(cast('object', old)).__name__} and cannot contain ciphertext",
                hint="declare it as text, or use the policy mask",
            )
        protected[name] = new
    return protected
