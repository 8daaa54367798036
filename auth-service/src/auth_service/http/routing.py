"""From ASGI to a room's handler and back: one endpoint of the router, with its limits, CORS and error answers.

All of it sits in one ASGI application per endpoint instead of middleware: the limits and the cross-origin rule belong
to the endpoint, and every layer around all of them would be paid for by each token.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from redis.exceptions import OutOfMemoryError, RedisError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from auth_service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    OAuthError,
    RequestTooLarge,
    ServerError,
    TemporarilyUnavailable,
)
from auth_service.http.answers import error_answer, json_answer
from auth_service.http.messages import Answer, Endpoint, HttpRequest
from auth_service.http.metrics import Metrics
from auth_service.protocol import RandomBytes
from security_common.audit import JournalUnavailable

__all__ = ["Edge", "EndpointApp", "Paths", "make_not_found"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_PREFLIGHT_HEADERS = "authorization, content-type, mcp-protocol-version"
_RETRY_SECONDS = 2
READ_TIMEOUT_SECONDS = 10.0
HANDLER_TIMEOUT_SECONDS = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What every endpoint shares. `client_address` reads the client's address from an ASGI scope."""

    issuer: str
    metrics: Metrics
    random_bytes: RandomBytes
    client_address: Callable[[Scope], str]


class EndpointApp:
    """One endpoint as an ASGI application."""

    def __init__(self, endpoint: Endpoint, edge: Edge) -> None:
        self._endpoint = endpoint
        self._edge = edge
        self._methods = frozenset(endpoint.methods)
        self._durations: dict[int, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer, started = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        await _send(answer, scope, send, cross_origin=self._endpoint.cross_origin)
        self._observe(answer.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Answer, float]:
        started = time.perf_counter()
        method = scope["method"]
        if method == "OPTIONS" and self._endpoint.cross_origin:
            return _preflight(self._endpoint), started
        if method not in self._methods:
            return self._method_not_allowed(scope), started
        try:
            body = await self._read_body(receive)
            started = time.perf_counter()
        except OAuthError as error:
            # The rest of the body may still be coming: the connection cannot be used again.
            return _with_headers(self._word(error, self._request(scope, b"")), ("connection", "close")), started
        return await self._handle(self._request(scope, body)), started

    async def _handle(self, request: HttpRequest) -> Answer:
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT_SECONDS):
                return await self._endpoint.handler(request)
        except OAuthError as error:
            log.info(
                "refused", path=request.path, error=error.error, reason=error.description, trace_id=request.trace_id
            )
            failure = error
        except (RedisError, JournalUnavailable, TimeoutError) as error:
            log.warning("unavailable", path=request.path, cause=type(error).__name__, trace_id=request.trace_id)
            failure = TemporarilyUnavailable(_cause(error), retry_after_seconds=_RETRY_SECONDS)
        except Exception:
            # The last line: whatever went wrong is logged whole and answered as one sentence.
            log.exception("failed", path=request.path, trace_id=request.trace_id)
            failure = ServerError("the server failed; the cause is in its log")
        return self._word(failure, request)

    def _word(self, error: OAuthError, request: HttpRequest) -> Answer:
        if self._endpoint.word_error is not None:
            return self._endpoint.word_error(error, request)
        return error_answer(error, realm=self._edge.issuer)

    def _method_not_allowed(self, scope: Scope) -> Answer:
        allowed = ", ".join(self._endpoint.methods)
        refused = self._word(MethodNotAllowed(f"this endpoint answers {allowed}"), self._request(scope, b""))
        return _with_headers(refused, ("allow", allowed))

    async def _read_body(self, receive: Receive) -> bytes:
        limit = self._endpoint.max_body_bytes
        body = b""
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise RequestTooLarge(f"the body is larger than {limit} bytes")
                    if not message.get("more_body", False):
                        return body
        except TimeoutError as error:
            raise InvalidRequest("the body took too long to arrive") from error

    def _request(self, scope: Scope, body: bytes) -> HttpRequest:
        raw_headers = scope["headers"]
        return HttpRequest(
            method=scope["method"],
            path=scope["path"],
            query_string=scope["query_string"],
            raw_headers=raw_headers,
            body=body,
            source_address=self._edge.client_address(scope),
            trace_id=self._trace_id(raw_headers),
        )

    def _trace_id(self, raw_headers: list[tuple[bytes, bytes]]) -> str:
        """The caller's trace (W3C Trace Context) or a new one."""
        for name, value in raw_headers:
            if name == b"traceparent":
                found = _TRACEPARENT.fullmatch(value.decode("latin-1"))
                if found:
                    return found[1]
        return self._edge.random_bytes(16).hex()

    def _observe(self, status: int, seconds: float) -> None:
        histogram = self._durations.get(status)
        if histogram is None:
            histogram = self._edge.metrics.requests.labels(self._endpoint.path, str(status))
            self._durations[status] = histogram
        histogram.observe(seconds)


class Paths:
    """Goes from a path straight to its endpoint; all else, the lifespan too, to `otherwise`.

    What middleware would do for an endpoint, each does for itself, so a token does not pay for it twice.
    """

    def __init__(self, endpoints: Mapping[str, EndpointApp], otherwise: ASGIApp) -> None:
        self._endpoints = endpoints
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self._otherwise)(scope, receive, send)


def make_not_found(resource: str) -> ASGIApp:
    """The application for every other path: JSON that says where `/hello` and the tools are; a WebSocket is closed.

    `resource` is the address of the default resource.
    """
    members = {
        "error": "not_found",
        "error_description": "no such endpoint; /openapi.json lists them. /hello and the MCP tools are at resource.",
        "resource": resource,
    }

    async def not_found(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await _send(json_answer(members, status=404), scope, send, cross_origin=False)

    return not_found


async def _send(answer: Answer, scope: Scope, send: Send, *, cross_origin: bool) -> None:
    headers = [
        (b"content-length", str(len(answer.body)).encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers),
    ]
    if answer.media_type is not None:
        headers.append((b"content-type", answer.media_type.encode("ascii")))
    if cross_origin:
        headers.append((b"access-control-allow-origin", b"*"))
        headers.append((b"access-control-expose-headers", b"www-authenticate, retry-after"))
    if answer.status in {204, 304}:
        headers = headers[1:]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def _cause(error: Exception) -> str:
    """What the client is told of a failure that is not its own."""
    if isinstance(error, OutOfMemoryError):
        return "the server's store is full and takes no writes just now; try again later"
    return "the server cannot answer just now; try again"


def _preflight(endpoint: Endpoint) -> Answer:
    methods = ", ".join(endpoint.methods)
    return Answer(
        status=204,
        headers=(
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", _PREFLIGHT_HEADERS),
            ("access-control-max-age", "7200"),
        ),
    )


def _with_headers(answer: Answer, *headers: tuple[str, str]) -> Answer:
    return replace(answer, headers=(*answer.headers, *headers))
