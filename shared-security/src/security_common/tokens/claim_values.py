"""Values of single claims, read strictly: each function raises `TokenRejected` for what it cannot take."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from security_common.tokens.errors import TokenRejected

__all__ = ["find_claim", "find_first", "read_name", "read_names", "read_time"]

MAX_NAME_CHARACTERS = 512
LATEST_SECONDS = 2**53


def find_claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim with this name, or the member that a path such as `realm_access.roles` leads to; None if absent.

    A name that contains dots itself, such as `https://example.com/roles`, is found first. Names come from settings.
    """
    if path in claims:
        return claims[path]
    name, dot, rest = path.partition(".")
    while dot:
        member = claims.get(name)
        if isinstance(member, dict):
            found = find_claim(cast("dict[str, Any]", member), rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        name = f"{name}.{more}"
    return None


def find_first(claims: Mapping[str, Any], paths: Iterable[str]) -> tuple[str, Any]:
    """The first of these claims that is there, with its name; an empty name and None if there is none."""
    for path in paths:
        value = find_claim(claims, path)
        if value is not None:
            return path, value
    return "", None


def read_name(value: Any, claim: str) -> str:
    """A string that is not empty, printable, and of at most 512 characters."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS or not value.isprintable():
        raise _bad(claim)
    return value


def read_time(value: Any, claim: str) -> float:
    """A NumericDate in seconds since the epoch (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_SECONDS:
        raise _bad(claim)
    return float(value)


def read_names(value: Any, claim: str, *, separator: str | None = None) -> tuple[str, ...]:
    """Several strings: a list of strings, or one string, which `separator` divides."""
    if isinstance(value, str):
        return (value,) if separator is None else tuple(each for each in value.split(separator) if each)
    members = cast("list[Any]", value) if isinstance(value, list) else None
    if members is None or not all(isinstance(each, str) for each in members):
        raise _bad(claim)
    return tuple(members)


def _bad(claim: str) -> TokenRejected:
    return TokenRejected("bad_claim", f"the token's {claim} is missing or malformed")
