"""Which redirect URIs may be registered, and which of them a request may use (RFC 8252, RFC 9700 section 4.1)."""

import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from auth_service.errors import InvalidRedirectUri

__all__ = ["LOOPBACK_HOSTS", "check_registrable", "climbs", "is_loopback", "is_registered"]

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

# Browsers run or render these themselves: a redirect to one would be script injection or a local file.
_DANGEROUS_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}*]")
_MAX_LENGTH = 2048


def is_loopback(uri: str) -> bool:
    """True for http on this machine: the redirect of a native application (RFC 8252 section 7.3)."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS


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
    """Raises `InvalidRedirectUri`: not absolute, a fragment, credentials, a wildcard, plain http to another machine,
    or a scheme that a browser would run itself. Private-use schemes (`cursor://`) are fine.
    """
    if not _is_well_formed(uri):
        raise InvalidRedirectUri("a redirect URI must be an absolute URI without fragment, credentials or wildcard")
    parts = urlsplit(uri)
    if parts.scheme in _DANGEROUS_SCHEMES:
        raise InvalidRedirectUri(f"redirect URIs with the scheme {parts.scheme} are refused")
    if parts.scheme in {"http", "https"} and not parts.hostname:
        raise InvalidRedirectUri("a redirect URI needs a host")
    if parts.scheme == "http" and not is_loopback(uri):
        raise InvalidRedirectUri("a redirect URI with http must point to localhost, 127.0.0.1 or [::1]; use https")


def _is_well_formed(uri: str) -> bool:
    if len(uri) > _MAX_LENGTH or _UNSAFE.search(uri) or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        port_is_valid = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        return False
    return bool(_SCHEME.fullmatch(parts.scheme)) and "@" not in parts.netloc and port_is_valid and not climbs(parts)


def climbs(parts: SplitResult) -> bool:
    """Whether the path has dot segments, however written: two programs may read it as two addresses."""
    segments = parts.path.lower().replace("%2e", ".").split("/")
    return "." in segments or ".." in segments


def _without_port(uri: str) -> tuple[str | None, str, str]:
    parts = urlsplit(uri)
    return parts.hostname, parts.path or "/", parts.query
