"""Cookies: those of a request by name (RFC 6265 section 5.4), and those that a service sets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["ServiceCookies", "parse_cookies"]

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


@dataclass(frozen=True, slots=True)
class ServiceCookies:
    """Names and attributes of the cookies of one service.

    `prefix` distinguishes the services of one host, since cookies are shared among ports. With `secure`, for https,
    the names begin with `__Host-`: other hosts of the domain cannot set such cookies (RFC 6265bis section 4.1.3.2).
    All cookies are HttpOnly and SameSite=Lax, so that a form that another site posts arrives without them.
    """

    prefix: str
    secure: bool

    def full_name(self, name: str) -> str:
        """The name of the cookie as the browser stores it."""
        return f"__Host-{self.prefix}{name}" if self.secure else f"{self.prefix}{name}"

    def read(self, cookies: Mapping[str, str], name: str) -> str | None:
        """The value of a cookie, from the cookies of a request (`parse_cookies`)."""
        return cookies.get(self.full_name(name))

    def names(self, cookies: Mapping[str, str], beginning: str) -> list[str]:
        """The names of this service's cookies that begin with `beginning`, oldest first (RFC 6265 section 5.4)."""
        start = self.full_name("")
        return [name.removeprefix(start) for name in cookies if name.startswith(start + beginning)]

    def set_header(self, name: str, value: str, *, max_age_seconds: int | None = None) -> tuple[str, str]:
        """The header that sets a cookie. Without `max_age_seconds` it ends when the browser is closed."""
        age = "" if max_age_seconds is None else f"Max-Age={max_age_seconds}; "
        secure = "; Secure" if self.secure else ""
        return "set-cookie", f"{self.full_name(name)}={value}; {age}Path=/; HttpOnly; SameSite=Lax{secure}"

    def delete_header(self, name: str) -> tuple[str, str]:
        """The header that deletes a cookie."""
        return self.set_header(name, "", max_age_seconds=0)
