"""How large data is, before it is searched, and the limits of a walk over it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

__all__ = ["LIMITS_OF_CALL", "LIMITS_ON_EVENT_LOOP", "SearchTooLong", "WalkLimits", "estimate_characters"]


class WalkLimits(NamedTuple):
    """How much one walk may search. A walk that reaches a limit raises `SearchTooLong` or TooMuchData."""

    depth: int
    values: int
    characters: int
    on_event_loop: bool = False


LIMITS_OF_CALL = WalkLimits(depth=64, values=200_000, characters=2_000_000)
"""Data with more than this is refused."""

LIMITS_ON_EVENT_LOOP = WalkLimits(depth=64, values=250, characters=2_048, on_event_loop=True)
"""Data with more than this is searched in the thread of the search queue. Less takes 5 ms at most."""

_CHARACTERS_OF_OTHER_VALUE = 16
"""Counted for each number, date and other value, and for each container."""


_NUMBERS: frozenset[type] = frozenset({int, float, bool, type(None)})


class SearchTooLong(Exception):
    """The data is too large to be searched on the event loop."""


def estimate_characters(*values: Any) -> int:
    """About how many characters a walk over these values searches, at most the limit of one call.

    Objects other than text, bytes and the usual containers count as one short value.
    """
    characters, parts_left = 0, LIMITS_OF_CALL.values
    waiting: list[Iterable[Any]] = [values]
    while waiting:
        for value in waiting.pop():
            parts_left -= 1
            kind = cast("type[object]", type(value))
            if kind is str:
                characters += len(value)
                continue
            if kind in _NUMBERS:  # before the abstract classes below, which are slow to ask
                characters += _CHARACTERS_OF_OTHER_VALUE
                continue
            if isinstance(value, (str, bytes, bytearray)):
                characters += len(value)
                continue
            characters += _CHARACTERS_OF_OTHER_VALUE
            if isinstance(value, BaseException):
                waiting.append(value.args)
            elif isinstance(value, Mapping):
                members = cast("Mapping[Any, Any]", value)
                waiting += [members.keys(), members.values()]
            elif isinstance(value, (list, tuple, set, frozenset)):
                waiting.append(cast("Iterable[Any]", value))
            if parts_left < 0 or characters > LIMITS_OF_CALL.characters:
                return LIMITS_OF_CALL.characters
    return min(characters, LIMITS_OF_CALL.characters)
