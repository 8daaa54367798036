"""One POST to an upstream and its response: a JSON document or an event stream, within limits."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Self, cast

import aiohttp

from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.errors import (
    UpstreamProtocolViolation,
    UpstreamRefusedCredential,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway_service.wire.event_stream import EventStreamReader
from gateway_service.wire.json_rpc import MAX_DEPTH
from security_common.strict_json import parse_json

__all__ = ["HttpConnections", "HttpExchange", "Reply"]

CONNECT_SECONDS = 5.0
# Servers close idle connections after five seconds or later. A connection that is closed while a request is being sent
# makes that call fail, because it may have been received.
KEEP_ALIVE_SECONDS = 4.0
MAX_MESSAGES_PER_SECOND = 100
LARGE_BODY_BYTES = 128 * 1024
"""A larger body is parsed in a thread, so that the event loop can serve other calls."""

# With one of these the request was not processed, or the server is overloaded or being restarted.
_UNAVAILABLE_STATUSES = frozenset({429, 500, 502, 503, 504})


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
        """Raises OSError or ssl.SSLError if the CA file cannot be used."""
        self._declaration = declaration
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=declaration.silent_seconds
        )
        is_encrypted = declaration.url.lower().startswith("https:")
        self._tls = ssl.create_default_context(cafile=declaration.ca_file) if is_encrypted else True

    async def post(self, body: bytes, headers: dict[str, str], *, message_id: int | None) -> Reply:
        """Sends one message and reads its answer; `message_id` is None for a notification.

        Raises `UpstreamUnavailable`, `UpstreamTimeout`, `UpstreamProtocolViolation` and `UpstreamRefusedCredential`.
        """
        name = self._declaration.name
        try:
            async with (
                asyncio.timeout(self._declaration.longest_seconds),
                self._connections.client.post(
                    self._declaration.url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=self._timeout,
                    ssl=self._tls,
                ) as response,
            ):
                return await self._read(response, message_id)
        except aiohttp.ConnectionTimeoutError as failure:
            raise UpstreamUnavailable.named(name) from failure
        except TimeoutError as failure:
            raise UpstreamTimeout(f"{name} did not answer in time", hint="the call may have had an effect") from failure
        except aiohttp.ClientPayloadError as failure:
            raise self._violation("ended its response too early") from failure
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, OSError) as failure:
            raise UpstreamUnavailable.named(name) from failure
        except (aiohttp.ClientError, ValueError) as failure:
            raise self._violation("sent a response that is not HTTP") from failure

    async def _read(self, response: aiohttp.ClientResponse, message_id: int | None) -> Reply:
        status = response.status
        if status in {401, 403}:
            raise UpstreamRefusedCredential(
                f"{self._declaration.name} does not accept the credential of the gateway",
                hint="the operator of the gateway has to renew it",
            )
        if status in _UNAVAILABLE_STATUSES:
            raise UpstreamUnavailable.named(self._declaration.name)
        if 300 <= status < 400:
            raise self._violation("answered with a redirect")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._violation("sent a compressed response, which was not asked for")
        if message_id is None:
            return Reply(status, None)
        is_stream = response.content_type == "text/event-stream"
        message = await (self._read_stream if is_stream else self._read_document)(response, message_id)
        return Reply(status, message, response.headers.get("mcp-session-id"))

    async def _read_document(self, response: aiohttp.ClientResponse, message_id: int) -> dict[str, Any] | None:
        """The message; None for a status of an error whose body is something else."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            self._require_size(len(body))
        is_error = response.status >= 400
        try:
            document = await self._parse(bytes(body))
        except UpstreamProtocolViolation:
            if is_error:
                return None
            raise
        if not _is_answer(document):
            if is_error:
                return None
            raise self._violation("sent something else than one response")
        # The answer to a request that could not be read has no id, or one of the server's own.
        if document.get("id") != message_id and not is_error:
            raise self._violation("answered another request")
        return document

    async def _read_stream(self, response: aiohttp.ClientResponse, message_id: int) -> dict[str, Any]:
        """The response in the stream. What comes before it (progress, log messages) is not passed on."""
        reader = EventStreamReader()
        size, messages = 0, 0
        began = time.monotonic()
        async for chunk in response.content.iter_any():
            size += len(chunk)
            self._require_size(size)
            for event in reader.feed(chunk):
                document = await self._parse(event)
                if _is_answer(document):
                    if document.get("id") != message_id:
                        raise self._violation("answered another request")
                    return document
                self._require_notification(document)
                messages += 1
                if messages > MAX_MESSAGES_PER_SECOND * (1 + time.monotonic() - began):
                    raise self._violation("sent too many notifications")
        raise self._violation("ended its stream without a response")

    def _require_notification(self, document: dict[str, Any]) -> None:
        """Raises UpstreamProtocolViolation for a request: the gateway has no capability that would allow one."""
        if not isinstance(document.get("method"), str):
            raise self._violation("sent a message that is not JSON-RPC")
        if "id" in document and document["method"] != "ping":
            raise self._violation("asked the client for something, which the gateway does not relay")

    async def _parse(self, raw: bytes) -> dict[str, Any]:
        try:
            if len(raw) > LARGE_BODY_BYTES:
                document: Any = await asyncio.to_thread(parse_json, raw, max_depth=MAX_DEPTH)
            else:
                document = parse_json(raw, max_depth=MAX_DEPTH)
        except (ValueError, RecursionError) as failure:
            raise self._violation("sent a message that is not strict JSON") from failure
        if not isinstance(document, dict):
            raise self._violation("sent a message that is not a JSON object")
        return cast("dict[str, Any]", document)

    def _require_size(self, size_bytes: int) -> None:
        if size_bytes > self._declaration.max_result_bytes:
            raise self._violation(f"sent more than {self._declaration.max_result_bytes} bytes")

    def _violation(self, what: str) -> UpstreamProtocolViolation:
        return UpstreamProtocolViolation(f"{self._declaration.name} {what}", hint="its operator has to correct it")


def _is_answer(document: dict[str, Any]) -> bool:
    """Whether this is a response with either a result or an error, and not a request or a notification."""
    return "method" not in document and ("result" in document) != ("error" in document)
