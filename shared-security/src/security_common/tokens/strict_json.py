"""JSON that two parsers cannot read differently: UTF-8, no member twice, no NaN, bounded depth."""

import json
import math
import re
from typing import Any, NoReturn

__all__ = ["parse_json"]

# A string that never ends is taken whole as well: else each quote in it would start a search of its own.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(raw: bytes, *, max_depth: int) -> Any:
    """The value. Raises ValueError for anything that is not plain, finite, unambiguous JSON."""
    text = raw.decode("utf-8")
    _bound_depth(text, max_depth)
    value = _DECODER.decode(text)
    if "\\u" in text:
        # A lone surrogate parses, and then breaks whoever writes it to a log or a journal.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _bound_depth(text: str, max_depth: int) -> None:
    # Before parsing: the parser itself recurses. Most texts have too few brackets to be deep.
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        found = match[0]
        if found in "[{":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"nested deeper than {max_depth}")
        elif found in "]}":
            depth -= 1


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant, parse_float=_finite)
