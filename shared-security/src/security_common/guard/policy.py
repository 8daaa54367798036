"""What the guard protects, and its settings. The defaults are for a server on the Internet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from security_common.edge.client_address import Network
from security_common.tool_scopes import ScopeRule, ToolScopes
from security_common.web_urls import parse_web_url

__all__ = ["PROTECTED_RESOURCE_METADATA_PATH", "FurtherResource", "GuardPolicy", "ProtectedResource"]

PROTECTED_RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """The protected resource, as its metadata describes it (RFC 9728).

    `url` is its identifier and the audience of its tokens, without a trailing slash. `scopes` are needed for every
    request; keep them few, tools can need more. `documentation` is a URL for people.
    """

    url: str
    authorization_servers: Sequence[str]
    scopes: Sequence[str] = ()
    documentation: str | None = None

    @property
    def origin(self) -> str:
        return parse_web_url(self.url).origin

    @property
    def path(self) -> str:
        """The path of the resource, at which MCP calls arrive."""
        return parse_web_url(self.url).path

    @property
    def metadata_path(self) -> str:
        """The path of the metadata; the guard serves it there and at the root form of the path."""
        return f"{PROTECTED_RESOURCE_METADATA_PATH}{self.path}"

    @property
    def metadata_url(self) -> str:
        """The absolute URL of the metadata, for challenges."""
        return f"{self.origin}{self.metadata_path}"


@dataclass(frozen=True, slots=True)
class FurtherResource:
    """A resource that the same server protects at another path of the same origin, with the scopes of its tools.

    A gateway has one for each server behind it. Its tokens have its own URL as their audience. `recorded_names` has
    the name in the audit trail of each tool whose name at this path is another one.
    """

    resource: ProtectedResource
    tool_scopes: ToolScopes = field(default_factory=dict[str, ScopeRule])
    recorded_names: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """The settings of the guard.

    `open_paths` need no token. `open_prefixes` open a path and everything below it, for parts of the application that
    check access themselves. `allowed_hosts` (a name, or name:port) and `allowed_origins` are accepted in addition to
    the host and origin of the resource; while the resource is on loopback, every loopback name is accepted too.
    `trusted_proxies` are the networks whose X-Forwarded-For is used. With `hands_on_document`, an application that
    passes messages on finds the parsed body in the `RequestContext`, with the spelling of its numbers.
    """

    open_paths: frozenset[str] = frozenset({"/livez", "/readyz"})
    open_prefixes: tuple[str, ...] = ()
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[Network] = ()
    max_header_bytes: int = 32 * 1024
    max_body_bytes: int = 1024 * 1024
    body_deadline_seconds: float = 10.0
    hands_on_document: bool = False
