"""One POST to an upstream and its response: a JSON document or an event stream, within limits."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from gateway_service.declaration import DeclarationInvalid, UpstreamDeclaration
from gateway_service.upstreams.errors import (
    RequestNotServed,
    UpstreamProtocolViolation,
    UpstreamRefusedCredential,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway_service.upstreams.received_messages import (
    NotificationRate,
    is_list_change,
    is_response,
    notification_of,
    parse_message,
    require_notification,
)
from gateway_service.upstreams.transport import ListChangeHandler, NotificationHandler
from gateway_service.wire.event_stream import EventStreamReader

__all__ = ["HttpConnections", "HttpExchange", "Reply"]

CONNECT_SECONDS = 5.0
# Servers close idle connections after five seconds or later. A connection that is closed while a request is being sent
# makes that call fail, because it may have been received.
KEEP_ALIVE_SECONDS = 4.0

_ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""A server may send nothing on an event stream as long as no request is in progress."""

_UNAVAILABLE_STATUSES: Mapping[int, type[UpstreamUnavailable]] = {
    429: RequestNotServed,
    500: RequestNotServed,
    502: UpstreamUnreachable,
    503: UpstreamUnreachable,
    504: UpstreamUnavailable,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """The message that answers a request, or None if the response has none. `status` is that of HTTP."""

    status: int
    message: dict[str, Any] | None = field(repr=False)
    session_id: str | None = field(default=None, repr=False)


class HttpConnections:
    """The connections to all upstreams, while the block `async with` runs.

    They follow no proxy variables, keep no cookies and decode nothing.
    """

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Opens the pool."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes all connections."""
        if self._client is not None:
            await self._client.close()

    @property
    def client(self) -> aiohttp.ClientSession:
        """Raises RuntimeError outside of the block."""
        if self._client is None:
            raise RuntimeError("the connections to upstreams are not open yet")
        return self._client


class HttpExchange:
    """Sends messages to one upstream."""

    def __init__(self, declaration: UpstreamDeclaration, connections: HttpConnections) -> None:
        """Raises `DeclarationInvalid` if the CA file cannot be used."""
        self._declaration = declaration
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=declaration.silent_seconds
        )
        # True is the context with the system's certificates, of which aiohttp has one for the process.
        self._tls = _tls_context(declaration) if declaration.ca_file is not None else True

    async def post(
        self,
        body: bytes,
        headers: dict[str, str],
        *,
        message_id: int | None,
        on_notification: NotificationHandler | None = None,
        on_list_change: ListChangeHandler | None = None,
        url: str | None = None,
    ) -> Reply:
        """Sends one message and reads its answer; `message_id` is None for a message without one.

        `url` is that of the upstream unless another one is given, which has to be of the same origin.
        Raises `UpstreamUnavailable`, `UpstreamTimeout`, `UpstreamProtocolViolation` and `UpstreamRefusedCredential`.
        """
        async with self._exchange("POST", url or self._declaration.url, headers, body) as response:
            self._check_head(response)
            if message_id is None:
                return Reply(response.status, None)
            if response.content_type == "text/event-stream":
                message = await self._read_stream(response, message_id, on_notification, on_list_change)
            else:
                message = await self._read_document(response, message_id)
            return Reply(response.status, message, response.headers.get("mcp-session-id"))

    async def delete(self, headers: dict[str, str]) -> None:
        """Ends a session. A server may refuse that (405). Raises as `post`."""
        async with asyncio.timeout(CONNECT_SECONDS), self._exchange("DELETE", self._declaration.url, headers, None):
            pass

    @asynccontextmanager
    async def event_stream(self, headers: dict[str, str]) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The chunks of an event stream, as long as the server keeps it open. Raises as `post`."""
        async with self._exchange("GET", self._declaration.url, headers, None, is_endless=True) as response:
            self._check_head(response)
            if response.status != 200 or response.content_type != "text/event-stream":
                raise self._violation("did not answer with an event stream")
            yield response.content.iter_any()

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, *, is_endless: bool = False
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The response to a request. What fails while it is used becomes an `UpstreamFailure`."""
        name = self._declaration.name
        try:
            async with self._connections.client.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=_ENDLESS if is_endless else self._timeout,
                ssl=self._tls,
            ) as response:
                yield response
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as failure:
            raise UpstreamUnreachable.named(name) from failure
        except TimeoutError as failure:
            raise UpstreamTimeout.named(name) from failure
        except aiohttp.ClientPayloadError as failure:
            raise self._violation("ended its response too early") from failure
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, OSError) as failure:
            raise UpstreamUnavailable.named(name) from failure
        except (aiohttp.ClientError, ValueError) as failure:
            raise self._violation("sent a response that is not HTTP") from failure

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status in {401, 403}:
            raise UpstreamRefusedCredential(self._declaration.name, status=status)
        if status in _UNAVAILABLE_STATUSES:
            raise _UNAVAILABLE_STATUSES[status].named(self._declaration.name)
        if 300 <= status < 400:
            raise self._violation("answered with a redirect")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._violation("sent a compressed response, which was not asked for")

    async def _read_document(self, response: aiohttp.ClientResponse, message_id: int) -> dict[str, Any] | None:
        """The message; None for a status of an error whose body is something else."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            self._require_size(len(body))
        is_error = response.status >= 400
        try:
            document = await parse_message(self._declaration.name, bytes(body))
        except UpstreamProtocolViolation:
            if is_error:
                return None
            raise
        if not is_response(document):
            if is_error:
                return None
            raise self._violation("sent something else than one response")
        # The answer to a request that could not be read has no id, or one of the server's own.
        if document.get("id") != message_id and not is_error:
            raise self._violation("answered another request")
        return document

    async def _read_stream(
        self,
        response: aiohttp.ClientResponse,
        message_id: int,
        on_notification: NotificationHandler | None,
        on_list_change: ListChangeHandler | None,
    ) -> dict[str, Any]:
        """The response in the stream. What comes before it is passed on to the handlers."""
        reader = EventStreamReader()
        rate = NotificationRate(self._declaration.name)
        size_bytes = 0
        async for chunk in response.content.iter_any():
            size_bytes += len(chunk)
            self._require_size(size_bytes)
            for event in reader.feed(chunk):
                document = await parse_message(self._declaration.name, event)
                if is_response(document):
                    if document.get("id") != message_id:
                        raise self._violation("answered another request")
                    return document
                require_notification(self._declaration.name, document)
                rate.count()
                notification = notification_of(document, message_id)
                if notification is not None and on_notification is not None:
                    await on_notification(notification)
                if on_list_change is not None and is_list_change(document):
                    on_list_change(document["method"])
        raise self._violation("ended its stream without a response")

    def _require_size(self, size_bytes: int) -> None:
        if size_bytes > self._declaration.max_result_bytes:
            raise self._violation(f"sent more than {self._declaration.max_result_bytes} bytes")

    def _violation(self, what: str) -> UpstreamProtocolViolation:
        return UpstreamProtocolViolation.by(self._declaration.name, what)


def _tls_context(declaration: UpstreamDeclaration) -> ssl.SSLContext:
    """Raises `DeclarationInvalid` if the CA file cannot be used."""
    try:
        return ssl.create_default_context(cafile=declaration.ca_file)
    except OSError as failure:
        cause = f"upstreams.{declaration.name}.ca_file cannot be used ({type(failure).__name__})"
        raise DeclarationInvalid(cause, hint="it must be a file with certificates in PEM") from failure
