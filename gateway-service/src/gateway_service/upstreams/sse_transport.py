"""HTTP+SSE, the transport of 2024-11-05: messages are sent with POST, and every answer comes on one event stream."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import structlog

from gateway_service.credentials import Credential
from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.credential_renewal import send_with_credential
from gateway_service.upstreams.errors import (
    SessionLost,
    UpstreamProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway_service.upstreams.http_exchange import HttpConnections, HttpExchange
from gateway_service.upstreams.multiplexed_connection import MultiplexedConnection
from gateway_service.upstreams.transport import ListChangeHandler, OutgoingRequest
from gateway_service.wire.event_stream import EventStreamReader
from security_common.errors import SecurityError
from security_common.task_cancellation import cancel_tasks
from security_common.web_urls import parse_web_url

__all__ = ["SseConnection", "SseTransport"]

MAX_SESSIONS = 1000
SESSION_IDLE_SECONDS = 30 * 60.0
PROBE_SECONDS = 5.0
MAX_SENDING = 16
"""Answers to pings and cancellations that are sent at the same time. Further ones are left out."""
SEND_SECONDS = 10.0

log = structlog.get_logger("gateway_service")


@dataclass(frozen=True, slots=True)
class _SessionOwner:
    """The caller of a session. `identity` are the headers of the credential with which the stream is opened."""

    name: str
    credential: Credential | None
    identity: Mapping[str, str] = field(repr=False)


class SseConnection(MultiplexedConnection):
    """A session of one caller: the event stream, and the URL for messages that the server has sent on it."""

    def __init__(
        self,
        declaration: UpstreamDeclaration,
        exchange: HttpExchange,
        owner: _SessionOwner,
        on_list_change: ListChangeHandler,
    ) -> None:
        self._exchange = exchange
        self._owner = owner
        self._sent_identity = owner.identity
        self._received_at = 0.0
        self._message_url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # The event loop keeps only weak references to its tasks.
        self._sending: set[asyncio.Task[None]] = set()
        super().__init__(declaration, is_shared=False, on_list_change=on_list_change)

    async def wait_until_open(self) -> None:
        """Returns when the server has named the URL for messages. Raises `UpstreamFailure`."""
        try:
            async with asyncio.timeout(self._declaration.silent_seconds):
                await asyncio.shield(self._message_url)
        except TimeoutError as failure:
            raise UpstreamTimeout.named(self._name) from failure

    def agree(self, version: str) -> None:
        """Does nothing: the messages of this transport do not repeat the version."""

    async def request(self, request: OutgoingRequest) -> dict[str, Any]:
        """The response, as for every connection. A stream on which nothing comes any more is not used again."""
        began = time.monotonic()
        try:
            return await super().request(request)
        except UpstreamTimeout:
            if self._received_at < began and not self.is_closed:
                self._fail(UpstreamUnavailable.named(self._name))
            raise

    async def _send(self, message: bytes) -> None:
        await send_with_credential(
            self._owner.credential, self._owner.name, lambda identity: self._post(message, identity)
        )

    async def _post(self, message: bytes, identity: Mapping[str, str]) -> None:
        self._sent_identity = identity
        headers = self._headers(identity, {"Content-Type": "application/json", "Accept-Encoding": "identity"})
        reply = await self._exchange.post(message, headers, message_id=None, url=await self._message_url)
        if reply.status >= 400:
            raise SessionLost(f"{self._name} has lost the session", hint="try again")

    def _send_soon(self, message: bytes) -> None:
        if len(self._sending) >= MAX_SENDING:
            return
        task = asyncio.create_task(self._send_quietly(message), name=f"send-{self._name}")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_quietly(self, message: bytes) -> None:
        # The upstream may be down, and no caller waits for this message. It is sent outside of the caller's requests,
        # so it has the credential of the last one.
        with contextlib.suppress(SecurityError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await self._post(message, self._sent_identity)

    async def _read_messages(self) -> None:
        headers = self._headers(self._owner.identity, {"Accept": "text/event-stream", "Accept-Encoding": "identity"})
        reader = EventStreamReader()
        size_bytes = 0  # of the event that is not complete yet
        async with self._exchange.event_stream(headers) as chunks:
            async for chunk in chunks:
                size_bytes += len(chunk)
                self._received_at = time.monotonic()
                for event in reader.feed(chunk):
                    size_bytes = 0
                    if self._message_url.done():
                        self._require_size(len(event))
                        await self._take(event)
                    else:
                        self._message_url.set_result(self._read_message_url(event))
                self._require_size(size_bytes)

    def _read_message_url(self, event: bytes) -> str:
        """The URL for messages in the first event. The credential is sent there, so it has to be of the same origin."""
        try:
            url = urljoin(self._declaration.url, event.decode())
            is_same_origin = parse_web_url(url).origin == parse_web_url(self._declaration.url).origin
        except ValueError:
            url, is_same_origin = "", False
        if not is_same_origin:
            raise UpstreamProtocolViolation.by(self._name, "did not name a URL of its own origin for messages")
        return url

    async def _end(self) -> None:
        await cancel_tasks(*self._sending)
        if self._message_url.done():
            return
        self._message_url.set_exception(self._failure or UpstreamUnavailable.named(self._name))
        self._message_url.exception()  # it may be that no task waits for it

    def _note_loss(self) -> None:
        log.info("upstream_stream_ended", upstream=self._name)

    def _headers(self, identity: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
        """Every header of a request. None of them is taken from the request of a client."""
        return {**self._declaration.headers, **identity, **headers}


class SseTransport:
    """Reaches one upstream over HTTP+SSE, with a session for each caller."""

    max_connections = MAX_SESSIONS
    idle_seconds = SESSION_IDLE_SECONDS
    probe_seconds = PROBE_SECONDS

    def __init__(
        self, declaration: UpstreamDeclaration, connections: HttpConnections, credential: Credential | None
    ) -> None:
        """Raises `DeclarationInvalid` if the CA file cannot be used."""
        self._declaration = declaration
        self._exchange = HttpExchange(declaration, connections)
        self._credential = credential

    async def connect(self, owner: str, on_list_change: ListChangeHandler) -> SseConnection:
        """A new session. Raises `UpstreamFailure`, and what getting the credential raises."""

        async def open_session(identity: Mapping[str, str]) -> SseConnection:
            session_owner = _SessionOwner(owner, self._credential, identity)
            connection = SseConnection(self._declaration, self._exchange, session_owner, on_list_change)
            try:
                await connection.wait_until_open()
            except BaseException:
                await connection.close()
                raise
            return connection

        return await send_with_credential(self._credential, owner, open_session)
