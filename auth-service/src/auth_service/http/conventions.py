"""ASGI middleware with what all endpoints have in common: HEAD, cross-origin requests, nosniff."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HttpConventions"]

RawHeader: TypeAlias = tuple[bytes, bytes]

_PREFLIGHT_HEADERS = (
    (b"access-control-allow-headers", b"authorization, content-type, mcp-protocol-version"),
    (b"access-control-max-age", b"7200"),
)
_COMMON_HEADERS = ((b"x-content-type-options", b"nosniff"),)
_CROSS_ORIGIN_HEADERS = (
    *_COMMON_HEADERS,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"www-authenticate, retry-after"),
)
_ADDED_NAMES = frozenset(name for name, _ in _CROSS_ORIGIN_HEADERS)


class HttpConventions:
    """What all endpoints have in common.

    A HEAD request is answered like a GET request, without the body. Scripts of any origin may use the endpoints in
    `cross_origin` (CORS), which has their allowed methods; endpoints with cookies or redirects must not be in it. Every
    response forbids browsers to guess its media type.

    Starlette's `CORSMiddleware` has one list of methods for all paths, and needs no path to exist.
    """

    def __init__(self, app: ASGIApp, *, cross_origin: Mapping[str, str]) -> None:
        self._app = app
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed_methods = self._cross_origin.get(scope["path"])
        headers = _COMMON_HEADERS if allowed_methods is None else _CROSS_ORIGIN_HEADERS
        if allowed_methods is not None and scope["method"] == "OPTIONS":
            await _send_preflight(allowed_methods, headers, send)
            return
        is_head = scope["method"] == "HEAD"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _merge(message["headers"], headers)}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        # A copy: the server itself must still see the method HEAD.
        inner_scope = {**scope, "method": "GET"} if is_head else scope
        await self._app(inner_scope, receive, send_with_headers)


def _merge(sent: Iterable[RawHeader], added: Iterable[RawHeader]) -> list[RawHeader]:
    """All headers; an added one replaces one with the same name, because browsers reject some that occur twice."""
    merged = [header for header in sent if header[0] not in _ADDED_NAMES]
    merged.extend(added)
    return merged


async def _send_preflight(allowed_methods: str, headers: Sequence[RawHeader], send: Send) -> None:
    """The response to a CORS preflight request."""
    allowed = (b"access-control-allow-methods", allowed_methods.encode("ascii"))
    start = {"type": "http.response.start", "status": 204, "headers": [allowed, *_PREFLIGHT_HEADERS, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
