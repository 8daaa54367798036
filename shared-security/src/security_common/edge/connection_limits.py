"""Limits that an ASGI application cannot apply: request heads, pipelined requests, unread responses, connections.

uvicorn has none of these limits. Without them a single address can fill the memory: requests are parsed and queued
while the responses to the first of them wait in buffers.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from security_common.edge.client_address import Network, is_in_networks, network_of

__all__ = ["BoundedConnection", "bounded_connections"]

MAX_HEAD_SECONDS = 10.0
MAX_HEAD_BYTES = 64 * 1024
MAX_UNREAD_SECONDS = 20.0
"""How long a client may read nothing. While more than 64 KiB wait for it, it must read until 16 KiB are left in this
time; otherwise one byte is enough."""
MAX_PIPELINED_REQUESTS = 16
"""Requests that a client may send before it has received the responses to earlier ones. Browsers and HTTP libraries do
not pipeline."""
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

log = structlog.get_logger(__name__)


class _TooManyPipelined(Exception):
    """Stops the parser after the connection was aborted."""


class BoundedConnection(HttpToolsProtocol):
    """A request head has 10 seconds and 64 KiB, and a connection whose client does not read its response is aborted.

    A larger head that arrives in a single read reaches the application, which refuses it.
    """

    closes_after_response = False
    """Whether the server drains: every response then closes its connection (`Connection: close`), so that clients
    continue at another process. Set on the class, for all connections of a server."""

    _is_in_head = True
    _head_bytes = 0
    _is_refused = False  # further data is ignored
    _head_deadline: asyncio.TimerHandle | None = None
    _unread_deadline: asyncio.TimerHandle | None = None
    _unread_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_deadline = self.loop.call_later(MAX_HEAD_SECONDS, transport.abort)
        self._schedule_unread_check(self._write_state())

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_head_deadline()
        for timer in (self._unread_deadline, self._unread_check):
            if timer is not None:
                timer.cancel()
        self._unread_deadline = None
        self._unread_check = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        was_idle = self.timeout_keep_alive_task is not None
        cycle = self.cycle
        super().data_received(data)
        if was_idle and self.cycle is cycle:
            # Empty lines before a request begin none, but uvicorn has cancelled its keep-alive timer.
            self._is_in_head = True
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._is_refused = True  # not closed: closing now would discard the response
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.write_eof()
        if self._head_deadline is None:
            # The head is not complete after one read, which is rare. `connection_made` started the timer of the first.
            self._head_deadline = self.loop.call_later(MAX_HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            self._is_refused = True
            self.transport.abort()
            raise _TooManyPipelined
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._cancel_head_deadline()
        super().on_headers_complete()
        if self.closes_after_response:
            self.cycle.keep_alive = False

    def pause_writing(self) -> None:
        """More than 64 KiB wait for the client; `resume_writing` is called when 16 KiB are left."""
        super().pause_writing()
        if self._unread_deadline is None:
            self._unread_deadline = self.loop.call_later(MAX_UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None

    def _schedule_unread_check(self, before: tuple[object, int]) -> None:
        """Checks at intervals whether the client reads, also after uvicorn has finished with the connection.

        There is one timer per connection; one per response would cost every request.
        """
        self._unread_check = self.loop.call_later(MAX_UNREAD_SECONDS, self._check_unread, before)

    def _check_unread(self, before: tuple[object, int]) -> None:
        now = self._write_state()
        _, unread_bytes = now
        if unread_bytes and now == before:
            self.transport.abort()
            return
        self._schedule_unread_check(now)

    def _write_state(self) -> tuple[object, int]:
        """The current request and the number of bytes that its client has not read."""
        return self.cycle, self.transport.get_write_buffer_size()

    def _cancel_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


def bounded_connections(*, per_address: int, trusted_proxies: Sequence[Network]) -> type[BoundedConnection]:
    """The protocol class of a server that accepts `per_address` connections from one address, or IPv6 /64 network.

    0 means no limit. Trusted proxies are not limited, because their connections are those of many clients.
    """
    connections: Counter[str] = Counter()

    class Connection(BoundedConnection):
        _counted_as: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            address = self.client[0] if self.client is not None else ""
            if not per_address or not address or is_in_networks(address, trusted_proxies):
                return
            source = network_of(address)
            if connections[source] >= per_address:
                self._is_refused = True
                transport.abort()
                return
            self._counted_as = source
            connections[source] += 1
            if connections[source] == per_address:
                log.warning("connection_limit_reached", address=source, connections=per_address)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._counted_as is not None:
                connections[self._counted_as] -= 1
                if not connections[self._counted_as]:
                    del connections[self._counted_as]
                self._counted_as = None
            super().connection_lost(exc)

    return Connection
