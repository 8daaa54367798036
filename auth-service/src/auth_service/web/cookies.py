"""Cookies of this service: strict attributes, and names that neither another host nor another port can replace."""

from dataclasses import dataclass

from auth_service.http.messages import HttpRequest

__all__ = ["Cookies", "Header"]

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and writes cookies. `secure` on https: the names then have the `__Host-` prefix (RFC 6265bis 4.1.3.2).

    All of them are HttpOnly and SameSite=Lax: a form that another site posts arrives without them.
    """

    secure: bool

    def read(self, request: HttpRequest, name: str) -> str | None:
        return request.cookies.get(self._full_name(name))

    def names(self, request: HttpRequest, prefix: str) -> list[str]:
        """The names of this browser's cookies that begin with `prefix`, the oldest first (RFC 6265 section 5.4)."""
        start = self._full_name("")
        return [name.removeprefix(start) for name in request.cookies if name.startswith(start + prefix)]

    def give(self, name: str, value: str, *, max_age_seconds: int | None = None) -> Header:
        """The header that sets a cookie; without `max_age_seconds` it ends with the browser."""
        age = "" if max_age_seconds is None else f"Max-Age={max_age_seconds}; "
        return "set-cookie", f"{self._full_name(name)}={value}; {age}{self._attributes}"

    def remove(self, name: str) -> Header:
        """The header that removes a cookie."""
        return self.give(name, "", max_age_seconds=0)

    def _full_name(self, name: str) -> str:
        """Cookies do not know ports: `auth_` keeps the services of one host apart."""
        return f"__Host-auth_{name}" if self.secure else f"auth_{name}"

    @property
    def _attributes(self) -> str:
        return "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")
