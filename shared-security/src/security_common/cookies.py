"""The cookies of a request by name (RFC 6265 section 5.4)."""

from collections.abc import Iterable

__all__ = ["parse_cookies"]

_OPTIONAL_WHITESPACE = " \t"


def parse_cookies(lines: Iterable[str]) -> dict[str, str]:
    """The cookies of these Cookie headers, decoded as Latin-1, in the order they were sent.

    `http.cookies` stops at the first cookie with a character outside the grammar, so that a cookie of another
    application on this host could hide ours.

    Only spaces and tabs around a name are removed. `str.strip` would also remove U+00A0: browsers let a sibling host
    set a cookie with the name U+00A0 followed by `__Host-session`, because that name has no prefix, and it must not be
    taken for the cookie that only this host can set (RFC 6265bis section 4.1.3).
    """
    pairs = (pair.partition("=") for line in lines for pair in line.split(";"))
    return {
        name.strip(_OPTIONAL_WHITESPACE): value.strip(_OPTIONAL_WHITESPACE)
        for name, separator, value in pairs
        if separator
    }
