"""The ASGI application of one address.

It answers a request with one JSON document, or with an event stream if progress or log messages come before the answer.
If a client accepts nothing but event streams, the answer is the only event of a stream. A client that closes the
connection cancels its call (MCP 2026-07-28, transports, "Cancellation"); one of an older version can also send the
notification `notifications/cancelled`.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from gateway_service.catalogue import Address, AddressComponents
from gateway_service.relay.call_records import CallUnavailable
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.client_stream import EVENT_STREAM, ClientStream, answer_while_connected, event_of
from gateway_service.relay.component_calls import TranslatedError
from gateway_service.relay.component_requests import ComponentRequests, MissingScope
from gateway_service.relay.list_subscriptions import ListSubscriptions
from gateway_service.relay.listing import Listing
from gateway_service.relay.running_requests import RunningRequests
from gateway_service.relay.tool_calls import ToolCalls
from gateway_service.relay.upstream_results import with_result_type
from gateway_service.wire.json_rpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    UNSUPPORTED_PROTOCOL_VERSION,
    ClientNotification,
    EncodedResult,
    Request,
    RpcError,
    client_message_of,
    encode_message,
    encode_result,
    error_message,
    result_message,
)
from gateway_service.wire.request_headers import is_stateless, require_known_version
from security_common.edge import HttpResponse, Receive, RequestHeaders, Scope, Send, require_request_context
from security_common.edge.content_negotiation import accepts
from security_common.guard import ProtectedResource
from security_common.guard.guard import CALLER
from security_common.guard.refusals import InsufficientScope
from security_common.guard.responses import refusal_response
from security_common.tokens import Caller

__all__ = ["McpEndpoint"]

_JSON = "application/json"
_RETRY_AFTER = (b"retry-after", b"5")

_ALWAYS_400 = frozenset({HEADER_MISMATCH, INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION})
_STATUSES_SINCE_2026 = {INVALID_PARAMS: 400, METHOD_NOT_FOUND: 404}


_Call = Callable[[ClientRequest], Awaitable[dict[str, Any] | EncodedResult]]


class McpEndpoint:
    """Serves one address."""

    def __init__(
        self,
        address: Address,
        components: AddressComponents,
        resource: ProtectedResource,
        *,
        tools: ToolCalls,
        requests: ComponentRequests,
        listing: Listing,
        running: RunningRequests,
    ) -> None:
        self._name = address.name
        self._resource = resource
        self._listing = listing
        self._running = running
        self._subscriptions = ListSubscriptions(address, components, clock=time.time)
        self._calls: dict[str, _Call] = {"tools/call": partial(tools.call, address)}
        if listing.has_prompts:
            self._calls["prompts/get"] = partial(requests.get_prompt, components)
        if listing.has_resources:
            self._calls["resources/read"] = partial(requests.read_resource, components)
        if listing.has_prompts or listing.has_resources:
            self._calls["completion/complete"] = partial(requests.complete, components)
        if listing.has_live_tools:
            self._calls["tools/list"] = listing.request_tools

    def replace(self) -> None:
        """Ends the subscriptions of this address, because another endpoint serves it from now on."""
        self._subscriptions.replace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        context = require_request_context(scope)
        headers = context.headers
        await receive()  # the body is one message, which the guard has parsed
        stream = ClientStream(send) if _asks_for_stream(headers) else None
        response = await answer_while_connected(
            self._respond(context.document, headers, scope[CALLER], stream), receive
        )
        if response is None:
            return  # the call is cancelled and recorded
        if stream is not None and stream.is_open:
            await stream.finish(response.body)
        else:
            await _in_accepted_form(response, headers)(scope, receive, send)

    async def _respond(
        self, document: Any, headers: RequestHeaders, caller: Caller, stream: ClientStream | None
    ) -> HttpResponse:
        request: Request | None = None
        stateless = False
        status = 200
        try:
            message = client_message_of(document)
            if not isinstance(message, Request):
                require_known_version(headers)
                self._accept(message, caller)
                return HttpResponse(202)
            request = message
            stateless = True  # if `is_stateless` raises an error, it is answered in the form of 2026-07-28
            stateless = is_stateless(request, headers)
            client = ClientRequest(
                message=request, headers=headers, caller=caller, is_stateless=stateless, stream=stream
            )
            with nullcontext() if stateless else self._running.track(self._name, caller, request.id):
                result = await self._result(client)
            if isinstance(result, EncodedResult):
                return _response(encode_result(request.id, result), status=200)
            answer = result_message(request.id, with_result_type(result, is_stateless=stateless))
        except MissingScope as missing:
            scopes = missing.scopes.union(self._resource.scopes)
            return refusal_response(InsufficientScope(sorted(scopes)), self._resource)
        except CallUnavailable as failure:
            status = 503
            answer = error_message(request.id if request else None, failure.error)
        except RpcError as error:
            status = _status_of(error, stateless=stateless)
            answer = error_message(request.id if request else None, error)
        return _response(await encode_message(answer), status=status)

    def _accept(self, message: ClientNotification | None, caller: Caller) -> None:
        if message is not None and message.method == "notifications/cancelled":
            self._running.cancel(self._name, caller, message.params)

    async def _result(self, client: ClientRequest) -> dict[str, Any] | EncodedResult:
        call = self._calls.get(client.message.method)
        if call is not None:
            return await call(client)
        if client.message.method == "subscriptions/listen" and client.is_stateless:
            return await self._subscriptions.listen(client)
        answer = self._listing.answer(client)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return answer


def _asks_for_stream(headers: RequestHeaders) -> bool:
    """Whether the client names event streams in Accept; one that accepts anything may not know them."""
    accept = headers.last(b"accept")
    return accept is not None and EVENT_STREAM in accept.lower() and accepts(accept, EVENT_STREAM)


def _status_of(error: RpcError, *, stateless: bool) -> int:
    """The HTTP status. What fails while a tool is executed has 200: many clients give up a server that answers 4xx.

    Only for a client that lacks a capability, 2026-07-28 requires 400.
    """
    if isinstance(error, TranslatedError):
        return 400 if error.code == MISSING_CLIENT_CAPABILITY else 200
    if error.code in _ALWAYS_400:
        return 400
    return _STATUSES_SINCE_2026.get(error.code, 200) if stateless else 200


def _response(body: bytes, *, status: int) -> HttpResponse:
    further = (_RETRY_AFTER,) if status == 503 else ()
    return HttpResponse(status, body, ((b"content-type", _JSON.encode()), *further))


def _in_accepted_form(response: HttpResponse, headers: RequestHeaders) -> HttpResponse:
    """The answer as the only event of a stream, if the client accepts nothing but event streams."""
    accept = headers.last(b"accept")
    if response.status != 200 or accepts(accept, _JSON) or not accepts(accept, EVENT_STREAM):
        return response
    return HttpResponse(200, event_of(response.body), ((b"content-type", EVENT_STREAM.encode()),))
