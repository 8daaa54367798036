"""Which of a client's registered redirect URIs a request may use: an equal one, or a loopback one on any port."""

from collections.abc import Collection

from auth_service.clients.redirect_uris import is_well_formed
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["is_loopback_redirect", "matches_registered"]


def is_loopback_redirect(uri: str) -> bool:
    """True for http to this machine: the redirect of a native application (RFC 8252 section 7.3)."""
    return uri.startswith("http:") and is_loopback_url(uri)


def matches_registered(requested: str, registered: Collection[str]) -> bool:
    """Whether a browser may be redirected to `requested`, after sign-in or after logout.

    URIs are compared as strings (RFC 9700 section 2.1). Loopback redirects are the exception: their parsed host, path
    and query are compared, and the port is not, since a native application listens on any free port: Claude Code
    registers `http://localhost/callback`, VS Code `http://127.0.0.1/`.
    """
    if requested in registered:
        return True
    if not is_well_formed(requested) or not is_loopback_redirect(requested):
        return False
    without_port = _without_port(requested)
    return any(_without_port(uri) == without_port for uri in registered if is_loopback_redirect(uri))


def _without_port(uri: str) -> tuple[str, str, str]:
    parts = parse_web_url(uri)
    return parts.host, parts.path or "/", parts.query
