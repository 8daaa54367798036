"""Parses JSON that every parser reads in the same way: UTF-8, no duplicate members, no NaN, limited depth."""

import json
import math
import re
from typing import Any, NoReturn

__all__ = ["parse_json"]

# The closing quote is optional: otherwise each quote in an unterminated string would start a search to the end.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(raw: bytes, *, max_depth: int) -> Any:
    """The parsed value. Raises ValueError for anything other than strict JSON, and for a depth over `max_depth`."""
    text = raw.decode("utf-8")
    _check_depth(text, max_depth)
    value = _DECODER.decode(text)
    if "\\u" in text:
        # json accepts a lone surrogate, which could later not be written to a log or a journal. Encoding raises
        # UnicodeEncodeError, a ValueError.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _check_depth(text: str, max_depth: int) -> None:
    # Before parsing, because the parser itself recurses.
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        part = match[0]
        if part in "[{":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"nested deeper than {max_depth}")
        elif part in "]}":
            depth -= 1


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_reject_constant, parse_float=_finite)
