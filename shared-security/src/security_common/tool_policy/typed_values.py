"""How the walk reads values with a shape of their own: numbers, dates, bytes, dataclasses and pydantic models."""

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

from security_common.tool_policy.data_walk import DataWalk, rebuilt, register_reader
from security_common.tool_policy.errors import UnsupportedValue

LONGEST_WHOLE_PART = 10**40

_READABLE_RUN = re.compile(rb"[\x20-\x7e]{10,}")
"""Ten printable bytes in a row are text, zeros between them or not; fewer come about by chance in every image."""


@register_reader(int, complex, date, time, timedelta, uuid.UUID, IPv4Address, IPv6Address)
def _scalar(walk: DataWalk, value: Any, field: str | None) -> Any:
    try:
        text = str(value)
    except ValueError:
        raise UnsupportedValue("a number is too long to be searched", hint="send it as text") from None
    walk.spend(len(text))
    return walk.leaf.scalar(value, text, field)


@register_reader(float, Decimal, Fraction)
def _fractional(walk: DataWalk, value: Any, field: str | None) -> Any:
    """Nobody's number has a fraction, and the digits of one look like every number there is: they are not read."""
    try:
        whole = int(value) if math.isfinite(value) and abs(value) < LONGEST_WHOLE_PART else 0
    except (ValueError, OverflowError):  # a signalling NaN, a fraction beyond every float
        whole = 0
    return walk.leaf.scalar(value, str(whole), field)


@register_reader(PurePath, AnyUrl, Url, IPv4Network, IPv6Network, SecretStr, SecretBytes)
def _spelled(walk: DataWalk, value: Any, field: str | None) -> Any:
    content = value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else str(value)
    treated = walk.visit(content, field)
    return value if treated is content else rebuilt(value.__class__, treated)


@register_reader(bytes, bytearray, memoryview)
def _bytes(walk: DataWalk, value: bytes | bytearray | memoryview, field: str | None) -> Any:
    content = bytes(value)
    for encoding in ("utf-8", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        treated = walk.text(text, field)
        if treated is not text:
            return rebuilt(value.__class__, treated.encode(encoding, "replace"))
        if 0 not in content:
            return value
        break
    runs = b"\n".join(_READABLE_RUN.findall(content.replace(b"\0", b""))).decode("ascii")
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        runs = content.decode("utf-16", "replace")
    walk.spend(len(runs))
    walk.leaf.opaque(runs, field)
    return value


class _AnyDataclass(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return dataclasses.is_dataclass(subclass)


class _Dataclass(metaclass=_AnyDataclass):
    """Stands for every dataclass, as they have no base in common."""


@register_reader(_Dataclass)
def _dataclass(walk: DataWalk, value: Any, field: str | None) -> Any:
    names = [each.name for each in dataclasses.fields(value)]
    members = {name: getattr(value, name) for name in names if hasattr(value, name)}
    changes = _changes(walk, members | getattr(value, "__dict__", {}), field)
    made = copy.copy(value) if changes else value
    for name, new in changes.items():
        object.__setattr__(made, name, new)
    _search_told(walk, made)
    return made


@register_reader(BaseModel)
def _model(walk: DataWalk, value: BaseModel, field: str | None) -> Any:
    """Fields, and what serialization or the tool could still reach: extra members, cached properties, private ones."""
    places = ("__dict__", "__pydantic_extra__", "__pydantic_private__")
    changes = {place: _changes(walk, getattr(value, place) or {}, field) for place in places}
    made = copy.copy(value) if any(changes.values()) else value
    for place, change in changes.items():
        if change:
            getattr(made, place).update(change)
    _search_told(walk, made)
    return made


def _search_told(walk: DataWalk, value: Any) -> None:
    """What pydantic would say of a model or dataclass beyond what its fields hold. Raises UnsupportedValue."""
    kind = cast("Any", type(value))
    if not _computes(kind):
        return
    try:
        told = kind.__pydantic_serializer__.to_python(value, mode="json", warnings=False)
    except ValueError:  # such as bytes that are no text
        told = kind.__pydantic_serializer__.to_python(value, warnings=False)
    if isinstance(told, dict):  # what the fields hold has been counted
        held = {name: getattr(value, name, None) for name in kind.__pydantic_fields__}
        told = {name: said for name, said in cast("dict[str, Any]", told).items() if held.get(name) != said}
    if walk.visit(told) is not told:
        raise UnsupportedValue("what a model computes holds personal data", hint="make it a field")


@lru_cache(maxsize=1024)
def _computes(kind: Any) -> bool:
    """Whether what is serialized may be more than the fields hold; serializers may stand deep in a field's type."""
    if not hasattr(kind, "__pydantic_serializer__"):
        return False
    rules: Any = kind.__pydantic_decorators__
    encodes: Any = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
    noted = any("Serializer(" in f"{each.annotation!r} {each.metadata}" for each in kind.__pydantic_fields__.values())
    own = rules.computed_fields or rules.field_serializers or rules.model_serializers
    return noted or bool(own or encodes.get("json_encoders"))


def _changes(walk: DataWalk, members: Mapping[str, Any], field: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, old in members.items():
        if not (name.isascii() and name.isidentifier()) and walk.leaf.name(name) is not name:
            raise UnsupportedValue("a member's name holds personal data", hint="use a dict in its place")
        new = walk.visit(old, name)
        if new is old:
            continue
        if isinstance(new, str) and not isinstance(old, str):
            raise UnsupportedValue(
                f"{name or field} is a {type(cast('object', old)).__name__} and cannot hold ciphertext",
                hint="declare it as text, or use the policy mask",
            )
        changes[name] = new
    return changes
