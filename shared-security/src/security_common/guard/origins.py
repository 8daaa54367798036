"""Whom a browser may be speaking for: the Host a request names, the Origin it comes from, and what CORS answers.

Host stops DNS rebinding; MCP asks for Origin (transports, "Security Warning"). Of a Host the name is compared and the
port is not: ports are often mapped on the way. Answers to an allowed origin carry CORS headers, refusals too: else a
browser client cannot read the challenge it is meant to act on.
"""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from security_common.addresses import is_loopback_host
from security_common.guard.answers import Answer
from security_common.guard.asgi import Message, Send
from security_common.guard.headers import RequestHeaders
from security_common.guard.policy import ProtectedResource
from security_common.guard.refusals import ForbiddenOrigin, InvalidRequest, MisdirectedRequest
from security_common.web_urls import is_loopback_url, parse_authority

__all__ = ["Origins", "allowing", "is_preflight", "preflight_answer"]

METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = b"WWW-Authenticate, Retry-After, Mcp-Session-Id, MCP-Protocol-Version"
PREFLIGHT_SECONDS = b"600"
MAX_HOST_CHARACTERS = 255 + len(":65535")


class Origins:
    """Judges Host and Origin. A loopback resource takes every loopback name, others only what is declared."""

    def __init__(self, resource: ProtectedResource, *, hosts: Sequence[str], origins: Sequence[str]) -> None:
        own = urlsplit(resource.url).hostname or ""
        self._local = is_loopback_host(own)
        self._hosts = {own, *(host.lower() for host in hosts)}
        self._origins = {resource.origin, *origins}
        self._is_our_host = lru_cache(maxsize=256)(self._judge_host)

    def require_host(self, headers: RequestHeaders) -> None:
        """Raises `MisdirectedRequest` for a foreign Host, `InvalidRequest` for none or several."""
        host = headers.one(b"host")
        if host is None:
            raise InvalidRequest("the request has no Host header")
        # Answers are remembered by Host: one that is longer than any name (RFC 1035 section 2.3.4) is not looked up.
        if len(host) > MAX_HOST_CHARACTERS or not self._is_our_host(host):
            raise MisdirectedRequest("this server does not go by that Host")

    def _judge_host(self, value: str) -> bool:
        try:
            host, _port = parse_authority(value)
        except ValueError:
            return False
        return not self._hosts.isdisjoint({host, value.lower()}) or (self._local and is_loopback_host(host))

    def require_origin(self, headers: RequestHeaders) -> str | None:
        """The allowed origin, None when no browser is asking. Raises `ForbiddenOrigin` or `InvalidRequest`."""
        origin = headers.one(b"origin")
        if origin is not None and not (origin in self._origins or (self._local and is_loopback_url(origin))):
            raise ForbiddenOrigin("pages of this origin may not call this server")
        return origin


def is_preflight(method: str, headers: RequestHeaders) -> bool:
    """Whether a browser asks if it may ask (Fetch standard, CORS-preflight request)."""
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def preflight_answer(headers: RequestHeaders) -> Answer:
    """Grants what the request will carry. The origin is allowed already, and a bearer token is never sent unasked."""
    wanted = headers.last(b"access-control-request-headers") or "authorization"
    allowed = "".join(each for each in wanted if each.isprintable()).encode("latin-1")
    return Answer(
        204,
        headers=(
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", allowed),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
        ),
    )


def allowing(origin: str, send: Send) -> Send:
    """Adds the CORS headers to the response, unless the application has set its own."""
    allowed = (
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"Origin"),
    )

    async def send_allowing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
                message = {**message, "headers": [*headers, *allowed]}
        await send(message)

    return send_allowing
