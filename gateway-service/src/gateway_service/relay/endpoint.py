"""The ASGI application of one address. It answers each request with one JSON document.

A client that accepts event streams only gets the same message as the only event of a stream. A client that closes the
connection cancels its call (MCP 2026-07-28, transports, "Cancellation").
"""

import asyncio
from typing import Any

from gateway_service.catalogue import Address
from gateway_service.relay.listing import Listing
from gateway_service.relay.tool_calls import CallUnavailable, ToolCalls, TranslatedError
from gateway_service.relay.upstream_results import with_result_type
from gateway_service.wire.json_rpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
    EncodedResult,
    Request,
    RpcError,
    encode,
    encode_result,
    error_message,
    read_client_message,
    result_message,
)
from gateway_service.wire.request_headers import is_stateless, require_known_version
from security_common.edge import HttpResponse, Receive, RequestHeaders, Scope, Send, require_request_context
from security_common.edge.content_negotiation import accepts
from security_common.guard.guard import CALLER
from security_common.tokens import Caller

__all__ = ["McpEndpoint"]

_JSON, _STREAM = "application/json", "text/event-stream"
_RETRY_AFTER = (b"retry-after", b"5")

_ALWAYS_400 = frozenset({HEADER_MISMATCH, INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION})
_STATUSES_SINCE_2026 = {INVALID_PARAMS: 400, METHOD_NOT_FOUND: 404}


class McpEndpoint:
    """Serves one address."""

    def __init__(self, address: Address, calls: ToolCalls, listing: Listing) -> None:
        self._address = address
        self._calls = calls
        self._listing = listing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        headers = require_request_context(scope).headers
        body = (await receive()).get("body", b"")  # the guard passes it on as one message
        answering = asyncio.create_task(self._respond(body, headers, scope[CALLER]))
        watching = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                return  # the client is gone; the call is cancelled and recorded
            response = answering.result()
        finally:
            watching.cancel()
            answering.cancel()
        await response(scope, receive, send)

    async def _respond(self, body: bytes, headers: RequestHeaders, caller: Caller) -> HttpResponse:
        request: Request | None = None
        stateless = False
        status = 200
        try:
            request = read_client_message(body)
            if request is None:
                require_known_version(headers)
                return HttpResponse(202)
            stateless = is_stateless(request, headers)
            result = await self._result(request, headers, caller, stateless=stateless)
            if isinstance(result, EncodedResult):
                return _response(encode_result(request.id, result), headers, status=200)
            message = result_message(request.id, with_result_type(result, is_stateless=stateless))
        except CallUnavailable as failure:
            status = 503
            message = error_message(request.id if request else None, failure.error)
        except RpcError as error:
            status = _status_of(error, stateless=stateless)
            message = error_message(request.id if request else None, error)
        return _response(encode(message), headers, status=status)

    async def _result(
        self, request: Request, headers: RequestHeaders, caller: Caller, *, stateless: bool
    ) -> dict[str, Any] | EncodedResult:
        match request.method:
            case "tools/call":
                return await self._calls.call(self._address, request, headers, caller, is_stateless=stateless)
            case "tools/list":
                return self._listing.tools(request, caller, is_stateless=stateless)
            case "server/discover" if stateless:
                return self._listing.discovery()
            case "initialize" if not stateless:
                return self._listing.handshake(request)
            case "ping" if not stateless:
                return {}
            case _:
                raise RpcError(METHOD_NOT_FOUND, "Method not found")


def _status_of(error: RpcError, *, stateless: bool) -> int:
    """The HTTP status. What fails while a tool is executed has 200: many clients give up a server that answers 4xx."""
    if isinstance(error, TranslatedError):
        return 200
    if error.code in _ALWAYS_400:
        return 400
    return _STATUSES_SINCE_2026.get(error.code, 200) if stateless else 200


def _response(body: bytes, headers: RequestHeaders, *, status: int) -> HttpResponse:
    media_type = _JSON
    accept = headers.last(b"accept")
    if status == 200 and not accepts(accept, _JSON) and accepts(accept, _STREAM):
        body, media_type = b"event: message\ndata: " + body + b"\n\n", _STREAM
    further = (_RETRY_AFTER,) if status == 503 else ()
    return HttpResponse(status, body, ((b"content-type", media_type.encode()), *further))


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
