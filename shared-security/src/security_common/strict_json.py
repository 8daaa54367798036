"""Parses JSON that every parser reads in the same way: UTF-8, no duplicate members, no NaN, limited depth.

A program that passes data on can keep the spelling of numbers and write them as they were.
"""

import json
import math
import re
import secrets
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["TooManyWrittenNumbers", "WrittenNumber", "encode_json", "parse_json"]

# The closing quote is optional: otherwise each quote in an unterminated string would start a search to the end.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number that Python would write in another way than it was written, such as 1.10."""

    text: str
    number: float


def parse_json(raw: bytes, *, max_depth: int, max_values: int | None = None, keeps_spelling: bool = False) -> Any:
    """The parsed value. Raises ValueError for anything other than strict JSON, and for a depth over `max_depth`.

    More than `max_values` values are refused before they are parsed: each takes many times its size in memory. With
    `keeps_spelling`, a fraction that would be written differently becomes a `WrittenNumber`, for a program that passes
    data on: `encode_json` writes it as it was.
    """
    text = raw.decode("utf-8")
    _check_depth(text, max_depth)
    if max_values is not None:
        _check_values(text, max_values)
    value = (_SPELLING_DECODER if keeps_spelling else _DECODER).decode(text)
    if _ESCAPED_SURROGATE.search(text):
        # json accepts a lone surrogate, which could later not be written to a log or a journal. Encoding raises
        # UnicodeEncodeError, a ValueError.
        json.dumps(value, ensure_ascii=False, default=_text_of_number).encode("utf-8")
    return value


def _text_of_number(number: WrittenNumber) -> str:
    return number.text


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


def _check_values(text: str, max_values: int) -> None:
    if _count_separators(text) < max_values:
        return
    # Counted again without what is in strings. Behind the bracket of an empty array or object, there is no value.
    outside = _STRING.sub('""', text)
    if _count_separators(outside) - outside.count("[]") - outside.count("{}") >= max_values:
        raise ValueError(f"more than {max_values} values")


def _count_separators(text: str) -> int:
    """At least the number of values less one: each but the outermost follows a bracket or a comma."""
    return text.count(",") + text.count("[") + text.count("{")


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


def _keep_spelling(text: str) -> float | WrittenNumber:
    number = _finite(text)
    return number if repr(number) == text else WrittenNumber(text, number)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_reject_constant, parse_float=_finite)
_SPELLING_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_reject_constant, parse_float=_keep_spelling
)
# Made once: `json.dumps` makes a new encoder for each call with arguments like these.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class TooManyWrittenNumbers(ValueError):
    """There are more numbers with a spelling of their own than the caller allows."""


def encode_json(value: Any, *, max_written_numbers: float = math.inf) -> bytes:
    """The value in UTF-8. Raises ValueError for a number that is not finite, and TypeError for an unknown type.

    A `WrittenNumber` takes much longer than another value. Raises `TooManyWrittenNumbers` if there are more of them.
    """
    try:
        return _ENCODER.encode(value).encode()
    except TypeError:
        return _encode_with_spelling(value, max_written_numbers)


def _encode_with_spelling(value: Any, max_written_numbers: float) -> bytes:
    """Encodes a value that contains a `WrittenNumber`.

    `json` cannot write a number with a given spelling, so a mark is written for each number first and then replaced.
    """
    mark = secrets.token_hex(16)
    numbers: list[str] = []

    def mark_number(part: object) -> str:
        if not isinstance(part, WrittenNumber):
            raise TypeError(f"a {type(part).__name__} has no form in JSON")
        if len(numbers) >= max_written_numbers:
            raise TooManyWrittenNumbers(f"more than {max_written_numbers} numbers with their spelling")
        numbers.append(part.text)
        return f"{mark}{len(numbers) - 1}"

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=mark_number)
    return re.sub(rf'"{mark}(\d+)"', lambda match: numbers[int(match[1])], text).encode()
