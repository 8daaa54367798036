"""Cookies of a request, by name (RFC 6265 section 5.4)."""

from collections.abc import Iterable

__all__ = ["parse_cookies"]

_OPTIONAL_WHITESPACE = " \t"


def parse_cookies(lines: Iterable[str]) -> dict[str, str]:
    """The cookies of these Cookie headers, decoded as Latin-1, in the order they were sent.

    A cookie that another application of this host set, with characters outside the grammar, must not hide ours, as it
    would with `http.cookies`. Only spaces and tabs around a name are removed, while `str.strip` also removes U+00A0 and
    others: browsers let a sibling host set a cookie named U+00A0 and `__Host-session`, since that name begins with no
    prefix, and it must not be taken for the cookie that this host alone can set (RFC 6265bis section 4.1.3).
    """
    pairs = (pair.partition("=") for line in lines for pair in line.split(";"))
    return {
        name.strip(_OPTIONAL_WHITESPACE): value.strip(_OPTIONAL_WHITESPACE)
        for name, separator, value in pairs
        if separator
    }
