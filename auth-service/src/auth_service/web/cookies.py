"""Cookies with strict attributes, and names that neither another host nor another port can replace."""

from dataclasses import dataclass

from starlette.requests import Request

from auth_service.http.responses import Header
from security_common.cookies import parse_cookies

__all__ = ["Cookies"]


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and writes cookies. If `secure` (https), names have the `__Host-` prefix (RFC 6265bis section 4.1.3.2).

    All cookies are HttpOnly and SameSite=Lax: a form that another site posts arrives without them.
    """

    secure: bool

    def read(self, request: Request, name: str) -> str | None:
        return _cookies_of(request).get(self._full_name(name))

    def names(self, request: Request, prefix: str) -> list[str]:
        """The names of this browser's cookies that begin with `prefix`, the oldest first (RFC 6265 section 5.4)."""
        start = self._full_name("")
        return [name.removeprefix(start) for name in _cookies_of(request) if name.startswith(start + prefix)]

    def set(self, name: str, value: str, *, max_age_seconds: int | None = None) -> Header:
        """The header that sets a cookie; without `max_age_seconds` the cookie ends when the browser is closed."""
        age = "" if max_age_seconds is None else f"Max-Age={max_age_seconds}; "
        return "set-cookie", f"{self._full_name(name)}={value}; {age}{self._attributes}"

    def remove(self, name: str) -> Header:
        """The header that removes a cookie."""
        return self.set(name, "", max_age_seconds=0)

    def _full_name(self, name: str) -> str:
        """Cookies are shared between the ports of a host: `auth_` separates the services of one host."""
        return f"__Host-auth_{name}" if self.secure else f"auth_{name}"

    @property
    def _attributes(self) -> str:
        return "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")


def _cookies_of(request: Request) -> dict[str, str]:
    """Starlette's own parser lets a malformed cookie hide others, see `parse_cookies`."""
    return parse_cookies(request.headers.getlist("cookie"))
