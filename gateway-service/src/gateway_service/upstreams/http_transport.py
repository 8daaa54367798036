"""Streamable HTTP: each message is a POST, and a server of an older version may assign a session."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Mapping
from typing import Any

from gateway_service.credentials import Credential
from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.credential_renewal import send_with_credential
from gateway_service.upstreams.errors import SessionLost, UpstreamProtocolViolation, UpstreamTimeout
from gateway_service.upstreams.http_exchange import HttpConnections, HttpExchange, Reply
from gateway_service.upstreams.transport import NO_TRACE, ListChangeHandler, OutgoingRequest
from gateway_service.wire.json_rpc import encode, encode_message
from gateway_service.wire.request_headers import CALLER_HEADER, encode_value
from gateway_service.wire.versions import STATELESS_VERSION
from security_common.errors import SecurityError
from security_common.task_cancellation import cancel_tasks

__all__ = ["HttpConnection", "HttpTransport"]

MAX_SESSIONS = 1000
SESSION_IDLE_SECONDS = 30 * 60.0
MAX_CANCELLATIONS = 16
"""Cancellations that are sent at the same time on one connection. Further ones are left out."""
CANCELLATION_SECONDS = 5.0
_ACCEPT = "application/json, text/event-stream"


class HttpTransport:
    """Reaches one upstream over Streamable HTTP."""

    max_connections = MAX_SESSIONS
    idle_seconds = SESSION_IDLE_SECONDS
    probe_seconds = None

    def __init__(
        self, declaration: UpstreamDeclaration, connections: HttpConnections, credential: Credential | None
    ) -> None:
        """Raises `DeclarationInvalid` if the CA file cannot be used."""
        self._declaration = declaration
        self._exchange = HttpExchange(declaration, connections)
        self._credential = credential
        self._caller_key = os.urandom(32) if declaration.is_bridge else None

    async def connect(self, owner: str, on_list_change: ListChangeHandler) -> "HttpConnection":
        """A connection, for which nothing is sent yet."""
        del owner  # what a server keeps for a caller is bound to the session that it assigns
        return HttpConnection(self._declaration, self._exchange, self._credential, on_list_change, self._caller_key)


class HttpConnection:
    """The conversation with one server: without a state in 2026-07-28, in a session if a server has assigned one."""

    is_closed = False

    def __init__(
        self,
        declaration: UpstreamDeclaration,
        exchange: HttpExchange,
        credential: Credential | None,
        on_list_change: ListChangeHandler,
        caller_key: bytes | None,
    ) -> None:
        """With `caller_key`, each request has an id of its caller, which is keyed with it (BLAKE2b)."""
        self._upstream = declaration.name
        self._caller_key = caller_key
        self._declared_headers = declaration.headers
        self._exchange = exchange
        self._credential = credential
        # The credential of the last request. A session has one caller, so it is ended with the credential of that one.
        self._sent_identity: Mapping[str, str] = {}
        self._on_list_change = on_list_change
        self._session_headers: dict[str, str] = {}
        self._session_id: str | None = None
        # The event loop keeps only weak references to its tasks.
        self._cancellations: set[asyncio.Task[None]] = set()

    @property
    def is_shared(self) -> bool:
        """Whether the server has assigned no session, and therefore keeps nothing of a caller."""
        return self._session_id is None

    @property
    def is_stateful(self) -> bool:
        """Whether the server has a session to end."""
        return self._session_id is not None

    def agree(self, version: str) -> None:
        """Repeats the version and the session in every further request (MCP 2025-11-25, transports)."""
        self._session_headers = {"MCP-Protocol-Version": version}
        if self._session_id is not None:
            self._session_headers["Mcp-Session-Id"] = self._session_id

    async def request(self, request: OutgoingRequest) -> dict[str, Any]:
        """The response. Raises `UpstreamFailure`; `SessionLost` if the server does not know the session any more."""
        if request.is_stateless:
            headers = {"MCP-Protocol-Version": STATELESS_VERSION, "Mcp-Method": request.method, **request.headers}
            if request.named is not None:
                headers["Mcp-Name"] = encode_value(request.named)
            if self._caller_key is not None and request.owner:
                digest = hashlib.blake2b(request.owner.encode(), key=self._caller_key, digest_size=16)
                headers[CALLER_HEADER] = digest.hexdigest()
        else:
            headers = self._session_headers
        message = {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params}
        body = await encode_message(message)
        reply = await send_with_credential(
            self._credential, request.owner, lambda identity: self._post_as(identity, request, body, headers)
        )
        if reply.status == 404 and self._session_id is not None and not request.is_stateless:
            raise SessionLost(f"{self._upstream} has lost the session", hint="try again")
        if reply.message is None:
            raise UpstreamProtocolViolation.by(self._upstream, f"answered with HTTP status {reply.status}")
        if request.method == "initialize":
            self._session_id = reply.session_id
        return reply.message

    async def _post_as(
        self, identity: Mapping[str, str], request: OutgoingRequest, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        self._sent_identity = identity
        try:
            return await self._exchange.post(
                body,
                self._headers(identity, request.trace_id, headers),
                message_id=request.id,
                on_notification=request.on_notification,
                on_list_change=self._on_list_change,
            )
        except (asyncio.CancelledError, UpstreamTimeout):
            if not request.is_stateless and request.method != "initialize":
                self._report_cancellation(request.id, identity)
            raise

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Sends a notification, which only versions up to 2025-11-25 do. Raises `UpstreamFailure`."""
        await self._notify_as(self._sent_identity, method, params)

    async def close(self) -> None:
        """Cancels notifications, and ends the session (MCP 2025-11-25, transports, "Session Management")."""
        await cancel_tasks(*self._cancellations)
        if self._session_id is None:
            return
        with contextlib.suppress(SecurityError, TimeoutError):  # the server may be down, or refuse it
            await self._exchange.delete({**self._declared_headers, **self._sent_identity, **self._session_headers})

    async def _notify_as(self, identity: Mapping[str, str], method: str, params: Mapping[str, Any]) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params:
            message["params"] = dict(params)
        headers = self._headers(identity, NO_TRACE, self._session_headers)
        await self._exchange.post(encode(message), headers, message_id=None)

    def _report_cancellation(self, message_id: int, identity: Mapping[str, str]) -> None:
        """Reports that the caller has abandoned a request. In these versions a closed connection does not mean that.

        It is sent in a task of its own, because a cancelled task cannot wait for it.
        """
        if len(self._cancellations) >= MAX_CANCELLATIONS:
            return  # the upstream does not accept those before either
        params = {"requestId": message_id, "reason": "the caller is gone or the time is over"}
        sending = asyncio.create_task(self._notify_quietly(identity, "notifications/cancelled", params))
        self._cancellations.add(sending)
        sending.add_done_callback(self._cancellations.discard)

    async def _notify_quietly(self, identity: Mapping[str, str], method: str, params: Mapping[str, Any]) -> None:
        # The upstream may be down, and the caller has its answer.
        with contextlib.suppress(SecurityError, TimeoutError):
            async with asyncio.timeout(CANCELLATION_SECONDS):
                await self._notify_as(identity, method, params)

    def _headers(self, identity: Mapping[str, str], trace_id: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Every header of a request. None of them is taken from the request of a client."""
        own = {"Content-Type": "application/json", "Accept": _ACCEPT, "Accept-Encoding": "identity"}
        if trace_id != NO_TRACE:
            own["traceparent"] = f"00-{trace_id}-{os.urandom(8).hex()}-01"
        return {**self._declared_headers, **identity, **own, **headers}
