"""The walk over values of Python, for functions that are called without a framework. It extends the walk over JSON.

Containers, dataclasses and models are always copied, so that neither caller nor tool can change what was searched.
Subclasses of built-in types become the built-in type: what their methods show can differ from what a serializer reads.
A value of a type without a handler is refused, so nothing passes without being searched. This module has the handlers
of containers and text; `typed_values` has those of numbers, dates, bytes, dataclasses and models.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from security_common.pii import FieldContext
from security_common.tool_policy.errors import UnsupportedValue
from security_common.tool_policy.json_walk import JSONWalk, unsupported_value

__all__ = ["DataWalk", "TypeHandler", "handles", "rebuild"]


class DataWalk(JSONWalk):
    """One walk over values of any type that has a handler. Its limits are those of JSONWalk."""

    __slots__ = ()

    def visit_parts(self, value: Any, context: FieldContext | None) -> Any:
        """A value that is neither a text, a number nor a constant of JSON, dispatched by its type."""
        return self.visit_as(cast("type[object]", type(value)), value, context)

    def visit_as(self, value_type: type, value: Any, context: FieldContext | None) -> Any:
        """The value handled as one of type `value_type`, for handlers that build on another one."""
        return _handler_of(value_type)(self, value, context)


TypeHandler = Callable[[DataWalk, Any, FieldContext | None], Any]
"""Returns the protected value: a new object, or the same one if it is immutable and nothing was found.

Arguments: the walk, the value, its field.
"""

_handlers: dict[type, TypeHandler] = {}


def handles(*value_types: type) -> Callable[[TypeHandler], TypeHandler]:
    """Registers a handler for values of these types and their subclasses.

    A later registration replaces an earlier one.
    """

    def register(handler: TypeHandler) -> TypeHandler:
        for value_type in value_types:
            _handlers[value_type] = handler
        _handler_of.cache_clear()
        return handler

    return register


@lru_cache(maxsize=1024)
def _handler_of(value_type: type) -> TypeHandler:
    """The handler of the nearest base class. Abstract base classes, such as Mapping, are tried last."""
    for base in (*value_type.__mro__, *_handlers):
        if base in _handlers and issubclass(value_type, base):
            return _handlers[base]
    return _refuse


def _refuse(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    del walk
    raise unsupported_value(value, context)


@handles(type(None), bool)
def _handle_constant(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    del walk, context
    return value


@handles(str)
def _handle_text(walk: DataWalk, value: str, context: FieldContext | None) -> Any:
    if isinstance(value, Enum):
        return _handle_enum(walk, value, context)
    # The content of the object, not what an overridden `__str__` returns.
    return walk.visit_text(str.__str__(value), context)


@handles(Enum)
def _handle_enum(walk: DataWalk, value: Enum, context: FieldContext | None) -> Any:
    """Enum members are constants of the program. One with personal data is refused: there is no masked member."""
    changes_before = walk.changes
    walk.visit(value.value, context)
    if walk.changes != changes_before:
        raise UnsupportedValue(f"a member of {type(value).__name__} contains personal data", hint="use text instead")
    return value


@handles(list, set, frozenset)
def _handle_collection(
    walk: DataWalk, value: list[Any] | set[Any] | frozenset[Any], context: FieldContext | None
) -> list[Any] | set[Any] | frozenset[Any]:
    protected = walk.visit_items(list(value), context)
    if isinstance(value, list):
        return protected
    return frozenset(protected) if isinstance(value, frozenset) else set(protected)


@handles(deque)
def _handle_deque(walk: DataWalk, value: deque[Any], context: FieldContext | None) -> Any:
    return deque(walk.visit_items(list(value), context), value.maxlen)


@handles(tuple)
def _handle_tuple(walk: DataWalk, value: tuple[Any, ...], context: FieldContext | None) -> Any:
    # `tuple.__iter__` reads the content of the object, and `tuple.__new__` keeps the type of a named tuple.
    protected = walk.visit_items(list(cast("Iterable[Any]", tuple.__iter__(value))), context)
    is_named_tuple = hasattr(value, "_fields")
    return tuple.__new__(type(value), protected) if is_named_tuple else tuple(protected)


@handles(dict, Mapping)
def _handle_mapping(walk: DataWalk, value: Mapping[Any, Any], context: FieldContext | None) -> Any:
    entries = walk.visit_members(value, context)
    value_type = type(value)
    if isinstance(value, defaultdict):
        return defaultdict(value.default_factory, entries)
    if value_type in {OrderedDict, Counter, MappingProxyType}:
        return cast("Callable[[dict[Any, Any]], Any]", value_type)(entries)
    return entries


def rebuild(make: Callable[[Any], Any], content: Any) -> Any:
    """A value of the same type with other content. Raises UnsupportedValue if the type does not accept the content."""
    try:
        return make(content)
    except Exception:  # noqa: BLE001 - any constructor may fail, and its error may quote the content
        failure = UnsupportedValue(
            "a value contains personal data and its type does not accept other content", hint="send it as text"
        )
    raise failure
