"""JSON objects from strangers: registrations, metadata documents and key sets are read by one strict parser."""

from collections.abc import Mapping
from typing import Any, cast

from security_common.tokens.strict_json import parse_json

__all__ = ["Members", "parse_members"]

Members = Mapping[str, Any]

_MAX_DEPTH = 32


def parse_members(body: bytes) -> Members:
    """The members of the object. Raises ValueError for anything else: not UTF-8, a member twice, NaN, too deep, a lone
    surrogate, a number that is too large.
    """
    value: Any = parse_json(body, max_depth=_MAX_DEPTH)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - like everything else that is wrong with the body
    return cast("dict[str, Any]", value)
