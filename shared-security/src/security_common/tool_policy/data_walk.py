"""Walks nested data and protects every leaf of it, JSON in text included. Masking of nested JSON is done here.

    {"note": '{"phone": "010-1234-5678"}'}
      mapping: each key, then each value with its context: its key and its neighbours
        text that is JSON: parsed, walked as data, written as JSON again
          leaf: LeafProtector.protect_text("010-1234-5678", "phone") ─▶ "010-****-5678"
      ─▶ {"note": '{"phone": "010-****-5678"}'}

If no leaf changes, the result is the same object, so that clean data is not copied. Containers, dataclasses and models
keep their type. A value of a type without a handler is refused, so nothing passes without being searched. This module
has the handlers of containers and text; `typed_values` has those of numbers, dates, bytes, dataclasses and models.
"""

import copy
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from security_common.pii import FieldContext, item_contexts, member_contexts
from security_common.tool_policy.data_size import LIMITS_OF_CALL, SearchTooLong, WalkLimits
from security_common.tool_policy.errors import TooMuchData, UnsupportedValue
from security_common.tool_policy.leaf_protection import LeafProtector

__all__ = ["DataWalk", "TypeHandler", "handles", "rebuild"]


class DataWalk:
    """One walk over some data. Data that is deeper, larger or has more parts than the limits is refused.

    With LIMITS_ON_EVENT_LOOP, SearchTooLong is raised instead, and the data has to be walked in another thread.
    """

    __slots__ = ("_characters_left", "_depth_left", "_on_event_loop", "_values_left", "leaves")

    def __init__(self, leaves: LeafProtector, limits: WalkLimits = LIMITS_OF_CALL) -> None:
        self.leaves = leaves
        self._depth_left, self._values_left, self._characters_left, self._on_event_loop = limits

    def visit(self, value: Any, context: FieldContext | None = None) -> Any:
        """The value with its leaves protected. `context` is the field that contains the value.

        Raises TooMuchData, UnsupportedValue and SearchTooLong.
        """
        self._values_left -= 1
        if self._values_left < 0 or self._depth_left <= 0:
            if self._on_event_loop and self._values_left < 0:
                raise SearchTooLong
            raise TooMuchData(
                "the data is nested too deeply or has too many parts", hint="send or request less data in one call"
            )
        self._depth_left -= 1
        kind = cast("type[object]", type(value))
        try:
            return _handler_of(kind)(self, value, context)
        finally:
            self._depth_left += 1

    def visit_as(self, kind: type, value: Any, context: FieldContext | None) -> Any:
        """The value handled as one of type `kind`, for handlers that build on another one."""
        return _handler_of(kind)(self, value, context)

    def visit_text(self, text: str, context: FieldContext | None) -> str:
        """The text protected: as data if it is JSON, and as one leaf otherwise.

        If every text is encrypted, JSON is encrypted as one text.
        """
        self.count_characters(len(text))
        if not self.leaves.encrypt_all and _may_be_json(text):
            document = _parse_json(text)
            if document is not None:
                protected = self.visit(document, context)
                return text if protected is document else json.dumps(protected, ensure_ascii=False)
        return self.leaves.protect_text(text, context)

    def count_characters(self, characters: int) -> None:
        """Counts characters before they are searched. Raises TooMuchData and SearchTooLong."""
        self._characters_left -= characters
        if self._characters_left < 0:
            if self._on_event_loop:
                raise SearchTooLong
            raise TooMuchData(
                "the data is larger than the limit for one call", hint="send or request less data in one call"
            )


TypeHandler = Callable[[DataWalk, Any, FieldContext | None], Any]
"""Returns the protected value: the same object if nothing changed. Arguments: the walk, the value, its field."""

_JSON_STARTS = ("{", "[")


def _may_be_json(text: str) -> bool:
    return text[:1] in _JSON_STARTS or text.lstrip()[:1] in _JSON_STARTS


def _parse_json(text: str) -> Any:
    """The document in a text, or None if the text is not JSON or must be searched as text."""
    try:
        return json.loads(text, object_pairs_hook=_members_without_duplicates)
    except (ValueError, RecursionError):
        return None


def _members_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError if a name appears twice: the parser would drop a value that is visible in the text."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


_handlers: dict[type, TypeHandler] = {}


def handles(*kinds: type) -> Callable[[TypeHandler], TypeHandler]:
    """Registers a handler for values of these types and their subclasses. A later registration replaces an earlier."""

    def register(handler: TypeHandler) -> TypeHandler:
        for kind in kinds:
            _handlers[kind] = handler
        _handler_of.cache_clear()
        return handler

    return register


@lru_cache(maxsize=1024)
def _handler_of(kind: type) -> TypeHandler:
    """The handler of the nearest base class. Abstract base classes, such as Mapping, are tried last."""
    for base in (*kind.__mro__, *_handlers):
        if base in _handlers and issubclass(kind, base):
            return _handlers[base]
    return _refuse


def _refuse(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    del walk
    location = f" in {context.name}" if context is not None and context.name else ""
    raise UnsupportedValue(
        f"a value of type {type(value).__name__}{location} cannot be searched for personal data",
        hint="use plain data: text, numbers, lists, dicts, dataclasses or pydantic models",
    )


@handles(type(None), bool)
def _handle_constant(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    del walk, context
    return value


@handles(str)
def _handle_text(walk: DataWalk, value: str, context: FieldContext | None) -> Any:
    protected = walk.visit_text(value, context)
    return value if protected is value else rebuild(value.__class__, protected)


@handles(Enum)
def _handle_enum(walk: DataWalk, value: Enum, context: FieldContext | None) -> Any:
    """Enum members are constants of the program. One with personal data is refused: there is no masked member."""
    if walk.visit(value.value, context) is not value.value:
        raise UnsupportedValue(f"a member of {type(value).__name__} contains personal data", hint="use text instead")
    return value


@handles(list, tuple, set, frozenset, deque)
def _handle_sequence(walk: DataWalk, value: Iterable[Any], context: FieldContext | None) -> Any:
    items = list(value)
    contexts = item_contexts(items, context)
    protected = [walk.visit(item, each) for item, each in zip(items, contexts, strict=True)]
    if all(new is old for new, old in zip(protected, items, strict=True)):
        return value
    if isinstance(value, deque):
        return type(value)(protected, value.maxlen)
    # A named tuple takes its fields one by one; `_make` takes them as a list.
    make = cast("Callable[[Any], Any]", getattr(type(value), "_make", type(value)))
    return rebuild(make, protected)


@handles(dict, Mapping)
def _handle_mapping(walk: DataWalk, value: Mapping[Any, Any], context: FieldContext | None) -> Any:
    changed = False
    entries: list[tuple[Any, Any]] = []
    members = list(value.items())
    for (key, item), of_item in zip(members, member_contexts(members, context), strict=True):
        new_key = walk.leaves.protect_key(key) if type(key) is str else walk.visit(key, context)
        new_item = walk.visit(item, of_item)
        changed = changed or new_key is not key or new_item is not item
        entries.append((new_key, new_item))
    return _with_entries(value, _number_duplicates(entries)) if changed else value


def _number_duplicates(entries: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of all entries. Keys that are equal once masked get a number, so that no entry is lost."""
    numbered: dict[Any, Any] = {}
    last_numbers: dict[Any, int] = {}  # counting from one for each key would be quadratic in the equal keys
    for key, item in entries:
        name = key
        while name in numbered:
            last_numbers[key] = last_numbers.get(key, 1) + 1
            name = f"{key} ({last_numbers[key]})"
        numbered[name] = item
    return numbered


def _with_entries(value: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """A mapping of the same type with these entries; a plain dict for mappings that are neither dict nor proxy."""
    if isinstance(value, dict):
        # Only a dict is copied: the copy of another mapping may share its content with the original.
        copied = copy.copy(value)
        copied.clear()
        copied.update(entries)
        return copied
    return MappingProxyType(entries) if isinstance(value, MappingProxyType) else entries


def rebuild(make: Callable[[Any], Any], content: Any) -> Any:
    """A value of the same type with other content. Raises UnsupportedValue if the type does not accept the content."""
    try:
        return make(content)
    except Exception:  # noqa: BLE001 - any constructor may fail, and its error may quote the content
        failure = UnsupportedValue(
            "a value contains personal data and its type does not accept other content", hint="send it as text"
        )
    raise failure
