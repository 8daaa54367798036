"""The walk over data: every leaf is visited, nothing is skipped, and what cannot be read is refused.

A walk gives back the very same object when no leaf changed, so that clean data costs no copy. Containers, dataclasses
and models keep their type and shape. Text that is JSON is walked as data. `readers` says how each type is read.
"""

import copy
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from security_common.tool_policy.errors import TooMuchData, UnsupportedValue
from security_common.tool_policy.leaf_protection import LeafProtector

__all__ = ["DataWalk", "Reader", "register_reader"]


MOST_LEVELS, MOST_VALUES, MOST_CHARACTERS = 64, 200_000, 2_000_000


class DataWalk:
    """One pass over some data; what is deeper, has more parts or is longer than the limits is refused."""

    __slots__ = ("_characters", "_depth", "_nodes", "leaf")

    def __init__(self, leaf: LeafProtector) -> None:
        self.leaf = leaf
        self._depth, self._nodes, self._characters = MOST_LEVELS, MOST_VALUES, MOST_CHARACTERS

    def visit(self, value: Any, field: str | None = None) -> Any:
        """The value with its leaves treated. `field` is the name it goes by. Raises TooMuchData or UnsupportedValue."""
        self._nodes -= 1
        if self._nodes < 0 or self._depth <= 0:
            raise TooMuchData(
                "the data is nested too deeply or has too many parts", hint="send or ask for less at once"
            )
        self._depth -= 1
        kind = cast("type[object]", type(value))
        try:
            return _reader_of(kind)(self, value, field)
        finally:
            self._depth += 1

    def visit_as(self, kind: type, value: Any, field: str | None) -> Any:
        """The value read as one of `kind`, for readers that add to another one."""
        return _reader_of(kind)(self, value, field)

    def text(self, text: str, field: str | None) -> str:
        """A text, or the data in it when it is JSON; where every text is encrypted, a text is one."""
        self.spend(len(text))
        if self.leaf.encrypt_all:
            return self.leaf.text(text, field)
        if text[:1] in _JSON_OPENS or text.lstrip()[:1] in _JSON_OPENS:
            document = _parse_json(text)
            if document is not None:
                return self._json(text, document, field)
        return self.leaf.text(text, field)

    def spend(self, characters: int) -> None:
        """Counts characters that are about to be read."""
        self._characters -= characters
        if self._characters < 0:
            raise TooMuchData("the data is larger than is searched in one call", hint="send or ask for less at once")

    def _json(self, text: str, document: Any, field: str | None) -> str:
        treated = self.visit(document, field)
        return text if treated is document else json.dumps(treated, ensure_ascii=False)


Reader = Callable[[DataWalk, Any, str | None], Any]

_JSON_OPENS = ("{", "[")


def _parse_json(text: str) -> Any:
    """The document in a text, or None when the text must be read as text."""
    try:
        return json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a member that is named twice a parser keeps less than a reader sees."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


_readers: dict[type, Reader] = {}


def register_reader(*kinds: type) -> Callable[[Reader], Reader]:
    """Declares how values of these types, and of types derived from them, are read; later declarations win."""

    def declare(reader: Reader) -> Reader:
        for kind in kinds:
            _readers[kind] = reader
        _reader_of.cache_clear()
        return reader

    return declare


@lru_cache(maxsize=1024)
def _reader_of(kind: type) -> Reader:
    """The reader of the nearest base; abstract ones, such as Mapping, come last."""
    bases = (base for base in (*kind.__mro__, *_readers) if base in _readers and issubclass(kind, base))
    return next((_readers[base] for base in bases), _refuse)


def _refuse(walk: DataWalk, value: Any, field: str | None) -> Any:
    del walk
    where = f" in {field}" if field else ""
    raise UnsupportedValue(
        f"a value of type {type(value).__name__}{where} cannot be searched for personal data",
        hint="use plain data: text, numbers, lists, dicts, dataclasses or pydantic models",
    )


@register_reader(type(None), bool)
def _as_it_is(walk: DataWalk, value: Any, field: str | None) -> Any:
    del walk, field
    return value


@register_reader(str)
def _text(walk: DataWalk, value: str, field: str | None) -> Any:
    treated = walk.text(value, field)
    return value if treated is value else rebuilt(value.__class__, treated)


@register_reader(Enum)
def _enum(walk: DataWalk, value: Enum, field: str | None) -> Any:
    """A member is the program's own word; were it personal data, no other member could stand for it."""
    if walk.visit(value.value, field) is not value.value:
        raise UnsupportedValue(f"a member of {type(value).__name__} holds personal data", hint="use text in its place")
    return value


@register_reader(list, tuple, set, frozenset, deque)
def _sequence(walk: DataWalk, value: Iterable[Any], field: str | None) -> Any:
    treated = [walk.visit(item, field) for item in value]
    if all(new is old for new, old in zip(treated, value, strict=True)):
        return value
    if isinstance(value, deque):
        return type(value)(treated, value.maxlen)
    make = cast("Callable[[Any], Any]", getattr(type(value), "_make", type(value)))
    return rebuilt(make, treated)


@register_reader(dict, Mapping)
def _mapping(walk: DataWalk, value: Mapping[Any, Any], field: str | None) -> Any:
    changed = False
    entries: list[tuple[Any, Any]] = []
    for key, item in value.items():
        name = walk.leaf.name(key) if type(key) is str else walk.visit(key, field)
        treated = walk.visit(item, key if isinstance(key, str) else field)
        changed = changed or name is not key or treated is not item
        entries.append((name, treated))
    if not changed:
        return value
    return _remade(value, _distinct(entries))


def _distinct(entries: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Two keys may look the same once masked; none may take the other's place."""
    made: dict[Any, Any] = {}
    numbers: dict[Any, int] = {}  # to count from one each time is quadratic in the keys that look the same
    for key, item in entries:
        name = key
        while name in made:
            numbers[key] = numbers.get(key, 1) + 1
            name = f"{key} ({numbers[key]})"
        made[name] = item
    return made


def _remade(value: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    if isinstance(value, dict):  # a copy of another mapping may share what it holds
        made = copy.copy(value)
        made.clear()
        made.update(entries)
        return made
    return MappingProxyType(entries) if isinstance(value, MappingProxyType) else entries


def rebuilt(make: Callable[[Any], Any], content: Any) -> Any:
    """A value of the same type with other content, or a refusal."""
    try:
        return make(content)
    except Exception:  # noqa: BLE001 - whatever a foreign constructor objects to, its text may quote the content
        failed = UnsupportedValue(
            "a value holds personal data and its type takes no other content", hint="send it as text"
        )
    raise failed
