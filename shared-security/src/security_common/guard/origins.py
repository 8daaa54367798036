"""The checks of Host and Origin, and the CORS headers of responses to pages.

The check of Host prevents DNS rebinding; MCP requires the check of Origin (transports, "Security Warning"). Of a Host
only the name is compared, because ports are often mapped on the way, unless the allowed host is declared with a port.
Responses to an allowed origin have CORS headers, refusals included: a browser client must be able to read the
challenge.
"""

from collections.abc import Sequence
from functools import lru_cache

from security_common.edge import InvalidRequest, Message, RequestHeaders, Send
from security_common.guard.policy import ProtectedResource
from security_common.guard.refusals import ForbiddenOrigin, MisdirectedRequest
from security_common.web_urls import is_loopback_host, is_loopback_url, parse_authority, parse_web_url

__all__ = ["HostAndOriginRules", "is_preflight", "with_cors_headers"]

_EXPOSED_HEADERS = b"WWW-Authenticate, Retry-After, Mcp-Session-Id, MCP-Protocol-Version"
_MAX_HOST_CHARACTERS = 255 + len(":65535")  # RFC 1035 section 2.3.4, and a port


class HostAndOriginRules:
    """Accepts the host and origin of the resource and the declared ones; every loopback name if it is on loopback."""

    def __init__(self, resource: ProtectedResource, *, hosts: Sequence[str], origins: Sequence[str]) -> None:
        own_host = parse_web_url(resource.url).host
        self._is_on_loopback = is_loopback_host(own_host)
        self._hosts = {own_host, *(host.lower() for host in hosts)}
        self._origins = {resource.origin, *origins}
        self._is_our_host = lru_cache(maxsize=256)(self._check_host)

    def require_host(self, headers: RequestHeaders) -> None:
        """Raises `MisdirectedRequest` for another host, `InvalidRequest` when there is none or more than one."""
        host = headers.one(b"host")
        if host is None:
            raise InvalidRequest("the request has no Host header")
        # A longer value cannot be a host, and must not take memory in the cache.
        if len(host) > _MAX_HOST_CHARACTERS or not self._is_our_host(host):
            raise MisdirectedRequest(
                "the Host header names another server",
                hint="use the host of the resource; its operator can allow others",
            )

    def require_origin(self, headers: RequestHeaders) -> str | None:
        """The allowed origin, or None without an Origin header. Raises `ForbiddenOrigin` or `InvalidRequest`."""
        origin = headers.one(b"origin")
        if origin is not None and not self._is_allowed_origin(origin):
            raise ForbiddenOrigin(
                "pages of this origin must not call this server", hint="its operator can allow the origin"
            )
        return origin

    def _check_host(self, value: str) -> bool:
        try:
            host, _port = parse_authority(value)
        except ValueError:
            return False
        return not self._hosts.isdisjoint({host, value.lower()}) or (self._is_on_loopback and is_loopback_host(host))

    def _is_allowed_origin(self, origin: str) -> bool:
        return origin in self._origins or (self._is_on_loopback and is_loopback_url(origin))


def is_preflight(method: str, headers: RequestHeaders) -> bool:
    """Whether this is a CORS-preflight request (Fetch standard)."""
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def with_cors_headers(origin: str, send: Send) -> Send:
    """Adds the CORS headers for this origin to the response, unless the application has set its own."""
    cors_headers = (
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
        (b"vary", b"Origin"),
    )

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
                message = {**message, "headers": [*headers, *cors_headers]}
        await send(message)

    return send_with_cors
