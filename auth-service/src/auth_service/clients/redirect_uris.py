"""Which redirect URIs a client may register. Which of them a request may use: `loopback_redirects`."""

import re
from importlib.resources import files
from urllib.parse import SplitResult, urlsplit

from auth_service.errors import InvalidRedirectUri
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["check_redirect_uri", "has_dot_segments", "is_well_formed"]

_MAX_LENGTH = 2048
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}*#]")
# With a private-use scheme the host may be any name, but only of these characters, none of which is special in a
# Content-Security-Policy header.
_PRIVATE_AUTHORITY = re.compile(r"[A-Za-z0-9._-]*(?::[0-9]{1,5})?")


def _read_refused_schemes() -> frozenset[str]:
    text = files("auth_service.clients").joinpath("refused_schemes.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(" ".join(lines).split())


_REFUSED_SCHEMES = _read_refused_schemes()
_REFUSED_PREFIXES = ("ms-", "chrome-")


def check_redirect_uri(uri: str) -> None:
    """Raises `InvalidRedirectUri` for a URI that no client may register.

    Refused are: relative URIs, more than 2048 characters, characters that must be percent-encoded, a scheme with
    capitals or of one letter, a fragment, credentials, a wildcard, dot segments, an invalid host, http to another
    machine, and schemes that are registered for something else or belong to the browser.
    Private-use schemes (`cursor://`, RFC 8252 section 7.1) are allowed.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None or not is_well_formed(uri):
        raise InvalidRedirectUri(
            f"a redirect URI must be an absolute URI in ASCII of at most {_MAX_LENGTH} characters, with its scheme in"
            " lower case and a valid host, and without fragment, credentials, wildcard and dot segments; other"
            " characters must be percent-encoded"
        )
    if len(scheme[1]) == 1:
        raise InvalidRedirectUri(
            "redirect URIs with a scheme of one letter are refused, because it would be a Windows drive; use https,"
            " http on localhost, or a scheme of the application's own"
        )
    if scheme[1] in _REFUSED_SCHEMES or scheme[1].startswith(_REFUSED_PREFIXES):
        raise InvalidRedirectUri(
            f"redirect URIs with the scheme {scheme[1]} are refused, since it is registered for something else or"
            " belongs to the browser; use https, http on localhost, or a scheme of the application's own"
        )
    if scheme[1] == "http" and not is_loopback_url(uri):
        raise InvalidRedirectUri(
            "a redirect URI with http must point to this machine (such as localhost, 127.0.0.1 or [::1]); use https"
        )


def is_well_formed(uri: str) -> bool:
    """Whether every program reads the URI the same way: the syntax rules of `check_redirect_uri`."""
    scheme = _SCHEME.match(uri)
    if scheme is None or len(uri) > _MAX_LENGTH or _UNSAFE.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        if scheme[1] in {"http", "https"}:
            parse_web_url(uri)
        elif not _PRIVATE_AUTHORITY.fullmatch(parts.netloc):
            return False
    except ValueError:
        return False
    return not has_dot_segments(parts)


def has_dot_segments(parts: SplitResult) -> bool:
    """Whether the path contains `.` or `..`, encoded or not: different programs may resolve it to different URLs."""
    segments = parts.path.lower().replace("%2e", ".").split("/")
    return "." in segments or ".." in segments
