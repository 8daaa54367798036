"""Which redirect URIs may be registered, and which of them a request may use (RFC 8252, RFC 9700 section 4.1)."""

import re
from collections.abc import Collection
from importlib.resources import files
from urllib.parse import SplitResult, urlsplit

from auth_service.errors import InvalidRedirectUri
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["check_registrable", "climbs", "is_loopback", "is_registered"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}*#]")
# A private scheme may name anything in the place of the host, but nothing that means something in a header.
_PRIVATE_AUTHORITY = re.compile(r"[A-Za-z0-9._-]*(?::[0-9]{1,5})?")
_MAX_LENGTH = 2048
_REFUSED_SCHEMES = frozenset(
    scheme
    for line in files("auth_service.clients").joinpath("refused_schemes.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for scheme in line.split()
)
_REFUSED_FAMILIES = ("ms-", "chrome-")


def is_loopback(uri: str) -> bool:
    """True for http on this machine: the redirect of a native application (RFC 8252 section 7.3)."""
    return uri.startswith("http:") and is_loopback_url(uri)


def is_registered(requested: str, registered: Collection[str]) -> bool:
    """Whether a browser may be sent to `requested`, after sign-in or after logout.

    Compared as strings (RFC 9700 section 2.1), but for the port of a loopback redirect: a native application takes
    whatever port is free, and Claude Code and VS Code register `localhost` without one.
    """
    if requested in registered:
        return True
    if not _is_well_formed(requested) or not is_loopback(requested):
        return False
    wanted = _without_port(requested)
    return any(_without_port(known) == wanted for known in registered if is_loopback(known))


def check_registrable(uri: str) -> None:
    """Raises `InvalidRedirectUri`: not absolute, a fragment, credentials, a wildcard, an invalid host, plain http to
    another machine, or a scheme that belongs to something else. Private-use schemes (`cursor://`) are fine.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None or not _is_well_formed(uri):
        raise InvalidRedirectUri(
            "a redirect URI must be an absolute URI of plain ASCII, with a valid host and without fragment,"
            " credentials, wildcard and dot segments"
        )
    # One letter is a drive of Windows, and the rest the path of a file.
    if scheme[1] in _REFUSED_SCHEMES or scheme[1].startswith(_REFUSED_FAMILIES) or len(scheme[1]) == 1:
        raise InvalidRedirectUri(
            f"redirect URIs with the scheme {scheme[1]} are refused, since it is registered for something else or"
            " belongs to the browser; use https, http on localhost, or a scheme of the application's own"
        )
    if scheme[1] == "http" and not is_loopback(uri):
        raise InvalidRedirectUri("a redirect URI with http must point to localhost, 127.0.0.1 or [::1]; use https")


def _is_well_formed(uri: str) -> bool:
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
    return not climbs(parts)


def climbs(parts: SplitResult) -> bool:
    """Whether the path has dot segments, however written: two programs may read it as two addresses."""
    segments = parts.path.lower().replace("%2e", ".").split("/")
    return "." in segments or ".." in segments


def _without_port(uri: str) -> tuple[str, str, str]:
    parts = parse_web_url(uri)
    return parts.host, parts.path or "/", parts.query
