"""How large data is, before it is searched, and the limits of a walk over it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

__all__ = ["LIMITS_OF_WALK", "LIMITS_ON_EVENT_LOOP", "SearchTooLong", "WalkLimits", "estimate_characters"]


class WalkLimits(NamedTuple):
    """How much one walk may search. A walk that reaches a limit raises `SearchTooLong` or TooMuchData."""

    depth: int
    values: int
    characters: int
    on_event_loop: bool = False


LIMITS_OF_WALK = WalkLimits(depth=64, values=200_000, characters=2_000_000)
"""Data with more than this is refused."""

LIMITS_ON_EVENT_LOOP = WalkLimits(depth=64, values=250, characters=2_048, on_event_loop=True)
"""Data with more than this is searched in the thread of the search queue. Less takes 5 ms at most."""

_CHARACTERS_OF_OTHER_VALUE = 16
"""Counted for each number, date and other value, and for each container."""

_NUMBERS: frozenset[type] = frozenset({int, float, bool, type(None)})
_type_of: Callable[[object], type[object]] = type  # without type parameters, which a type checker cannot know


class SearchTooLong(Exception):
    """The data is too large to be searched on the event loop."""


def estimate_characters(*values: Any) -> int:
    """About how many characters a walk over these values searches, at most the limit of one walk.

    Objects other than text, bytes and the usual containers count as one short value.
    """
    characters, parts_left = 0, LIMITS_OF_WALK.values
    waiting: list[Iterable[Any]] = [values]
    while waiting and characters <= LIMITS_OF_WALK.characters:
        for value in waiting.pop():
            parts_left -= 1
            value_type = _type_of(value)
            if value_type is str:
                characters += len(value)
            elif value_type in _NUMBERS:
                characters += _CHARACTERS_OF_OTHER_VALUE
            elif value_type is dict:
                characters += _CHARACTERS_OF_OTHER_VALUE
                waiting += [value, value.values()]
            elif value_type is list:
                characters += _CHARACTERS_OF_OTHER_VALUE
                waiting.append(value)
            elif isinstance(value, (str, bytes, bytearray)):
                characters += len(value)
            else:
                characters += _CHARACTERS_OF_OTHER_VALUE
                waiting += _parts_of(value)
            if parts_left < 0:
                return LIMITS_OF_WALK.characters
    return min(characters, LIMITS_OF_WALK.characters)


def _parts_of(value: Any) -> list[Iterable[Any]]:
    """The parts of a value of another type than those of JSON."""
    if isinstance(value, BaseException):
        return [value.args]
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        return [members.keys(), members.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [cast("Iterable[Any]", value)]
    return []
