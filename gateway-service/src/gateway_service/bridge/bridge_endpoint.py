"""The ASGI application of a bridge: `/mcp` for messages, and `/livez`."""

import asyncio
import hmac
import itertools
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway_service.bridge.program_sessions import ProgramSessions
from gateway_service.relay.client_stream import EVENT_STREAM, ClientStream, answer_while_connected
from gateway_service.upstreams.connection_pool import PooledConnection
from gateway_service.upstreams.errors import UpstreamFailure, UpstreamProtocolViolation, UpstreamTimeout
from gateway_service.upstreams.stdio_transport import StdioConnection
from gateway_service.upstreams.transport import Notification, NotificationHandler, OutgoingRequest
from gateway_service.wire.json_rpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    ClientNotification,
    MessageId,
    Request,
    RpcError,
    encode,
    error_message,
    read_client_message,
)
from gateway_service.wire.request_headers import CALLER_HEADER, is_stateless
from security_common.edge import HttpResponse, Receive, RequestHeaders, Scope, Send
from security_common.edge.refusals import Refusal
from security_common.edge.request_body import ClientDisconnected, read_body
from security_common.web_urls import is_loopback_host

__all__ = ["BridgeAccess", "BridgeEndpoint"]

MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_SECONDS = 30.0
_JSON = ((b"content-type", b"application/json"),)
_SESSION = b"mcp-session-id"
_CALLER = CALLER_HEADER.lower().encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAccess:
    """Who may use the bridge. `token` is what Authorization has to contain; without it every client may."""

    is_loopback_only: bool
    token: str | None = field(default=None, repr=False)

    def problem(self, headers: RequestHeaders) -> HttpResponse | None:
        """The response to a request that is refused, or None. Web pages have no access, whatever their origin."""
        host = urlsplit(f"//{headers.last(b'host') or ''}").hostname or ""
        if b"origin" in headers or (self.is_loopback_only and not is_loopback_host(host)):
            return HttpResponse(403)
        expected = f"Bearer {self.token}".encode()
        if self.token and not hmac.compare_digest((headers.last(b"authorization") or "").encode(), expected):
            return HttpResponse(401, headers=((b"www-authenticate", b"Bearer"),))
        return None


class BridgeEndpoint:
    """Passes the messages of clients on to the instances of one program."""

    def __init__(self, sessions: ProgramSessions, access: BridgeAccess, *, path: str = "/mcp") -> None:
        self._sessions = sessions
        self._access = access
        self._path = path
        self._ids = itertools.count(1)
        self._running: dict[tuple[str, MessageId], asyncio.Task[Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        headers = RequestHeaders(scope["headers"])
        if scope["path"] == "/livez":
            response: HttpResponse | None = HttpResponse(200)
        elif scope["path"] != self._path:
            response = HttpResponse(404)
        else:
            response = self._access.problem(headers)
        if response is None and scope["method"] == "DELETE":
            was_ended = self._sessions.end(headers.last(_SESSION) or "")
            response = HttpResponse(200 if was_ended else 404)
        if response is None and scope["method"] != "POST":
            response = HttpResponse(405, headers=((b"allow", b"POST, DELETE"),))
        if response is None:
            response = await self._post(headers, receive, send)
        if response is not None:
            await response(scope, receive, send)

    async def _post(self, headers: RequestHeaders, receive: Receive, send: Send) -> HttpResponse | None:
        """The response; None if it was sent as an event stream, or if the client is gone."""
        try:
            body = await read_body(receive, headers, max_bytes=MAX_BODY_BYTES, deadline_seconds=BODY_SECONDS)
        except ClientDisconnected:
            return None
        except Refusal as refusal:
            return HttpResponse(refusal.status, headers=((b"connection", b"close"),))
        stream = ClientStream(send) if EVENT_STREAM in (headers.last(b"accept") or "") else None
        response = await answer_while_connected(self._respond(body, headers, stream), receive)
        if response is None or stream is None or not stream.is_open:
            return response
        await stream.finish(response.body)
        return None

    async def _respond(self, body: bytes, headers: RequestHeaders, stream: ClientStream | None) -> HttpResponse:
        message_id: MessageId = None
        try:
            message = read_client_message(body)
            if not isinstance(message, Request):
                return self._accept(message, headers)
            message_id = _require_id(message.id)
            return await self._pass_on(message, headers, stream)
        except RpcError as error:
            return HttpResponse(400, encode(error_message(message_id, error)), _JSON)
        except UpstreamFailure as failure:
            error = RpcError(INTERNAL_ERROR, failure.description)
            return HttpResponse(_status_of(failure), encode(error_message(message_id, error)), _JSON)

    def _accept(self, message: ClientNotification | None, headers: RequestHeaders) -> HttpResponse:
        """Cancels a request of a session. Other notifications are ignored; `_ask` sends `notifications/initialized`."""
        if message is not None and message.method == "notifications/cancelled":
            request_id: Any = message.params.get("requestId")
            if isinstance(request_id, str | int):
                running = self._running.get((headers.last(_SESSION) or "", request_id))
                if running is not None:
                    running.cancel()
        return HttpResponse(202)

    async def _pass_on(self, request: Request, headers: RequestHeaders, stream: ClientStream | None) -> HttpResponse:
        stateless = is_stateless(request, headers)
        session_id = headers.last(_SESSION) or ""
        begun: tuple[tuple[bytes, bytes], ...] = ()
        if stateless:
            session_id, entry = "", await self._sessions.stateless(headers.last(_CALLER) or "")
        elif request.method == "initialize":
            session_id, entry = await self._sessions.begin()
            begun = ((_SESSION, session_id.encode()),)
        else:
            found = self._sessions.find(session_id)
            if found is None:
                return HttpResponse(404 if session_id else 400)
            entry = found
        key = (session_id, request.id)
        task = asyncio.current_task()
        if task is not None and not stateless:  # a client of 2026-07-28 cancels by closing the connection
            self._running[key] = task
        try:
            answer = await self._ask(entry, request, stream, stateless=stateless)
            if begun and "error" in answer:
                self._sessions.end(session_id)
        finally:
            self._running.pop(key, None)
            self._sessions.release(entry)
        return HttpResponse(200, encode({**answer, "id": request.id}), (*_JSON, *begun))

    async def _ask(
        self,
        entry: PooledConnection[StdioConnection],
        request: Request,
        stream: ClientStream | None,
        *,
        stateless: bool,
    ) -> dict[str, Any]:
        """The response of the program, with the bridge's own message id."""
        message_id = next(self._ids)
        params, metadata = dict(request.params), dict(request.metadata)
        token = metadata.get("progressToken")
        if token is not None:
            params["_meta"] = {**metadata, "progressToken": message_id}
        outgoing = OutgoingRequest(
            id=message_id,
            method=request.method,
            params=params,
            is_stateless=stateless,
            on_notification=_sender(stream, token) if stream is not None else None,
        )
        answer = await entry.connection.request(outgoing)
        if request.method == "initialize" and "result" in answer:
            await entry.connection.notify("notifications/initialized", {})
        return answer

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan: ends all instances at its end."""
        while True:
            event = (await receive())["type"]
            if event == "lifespan.shutdown":
                await self._sessions.close()
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return


def _require_id(message_id: Any) -> str | int:
    """Raises `RpcError` for what cannot be an id; in front of the gateway, the guard does that."""
    if isinstance(message_id, bool) or not isinstance(message_id, str | int):
        raise RpcError(INVALID_REQUEST, "the id must be a text or an integer")
    return message_id


def _sender(stream: ClientStream, token: Any) -> NotificationHandler:
    """Sends notifications to the client, with its own progress token."""

    async def send(notification: Notification) -> None:
        if notification.method != "notifications/progress":
            await stream.notify(notification.method, notification.params)
        elif token is not None:
            await stream.notify(notification.method, {**notification.params, "progressToken": token})

    return send


def _status_of(failure: UpstreamFailure) -> int:
    if isinstance(failure, UpstreamTimeout):
        return 504
    return 502 if isinstance(failure, UpstreamProtocolViolation) else 503
