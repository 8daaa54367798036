"""What is protected, and how strictly. The defaults are for a server on the Internet."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

__all__ = ["WELL_KNOWN", "GuardPolicy", "ProtectedResource"]

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """The resource as it presents itself (RFC 9728).

    `url` is its identifier and the audience of its tokens, without a trailing slash. `scopes` are what every request
    needs; keep them few, tools may ask for more. `documentation` is a URL for people.
    """

    url: str
    authorization_servers: Sequence[str]
    scopes: Sequence[str] = ()
    documentation: str | None = None

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """Path of the resource; MCP calls arrive there."""
        return urlsplit(self.url).path

    @property
    def metadata_path(self) -> str:
        """Where the metadata stands on this server; the guard answers there, and at the root form."""
        return f"{WELL_KNOWN}{self.path}"

    @property
    def metadata_url(self) -> str:
        """The absolute URL that challenges name."""
        return f"{self.origin}{self.metadata_path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """How strict the guard is.

    `open_paths` need no token; `open_prefixes` open a path and everything below it, for parts that have a guard of
    their own. `allowed_hosts` (a name, or name:port) and `allowed_origins` come on top of the resource's own host and
    origin; every loopback name is one of them while the resource is on loopback. `trusted_proxies` are the networks
    whose X-Forwarded-For is believed.
    """

    open_paths: frozenset[str] = frozenset({"/livez", "/readyz"})
    open_prefixes: tuple[str, ...] = ()
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    max_header_bytes: int = 32 * 1024
    max_body_bytes: int = 1024 * 1024
    body_deadline_seconds: float = 10.0
