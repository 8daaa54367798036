"""Limits of a connection that no application sees: of its head, of requests sent ahead, of answers that nobody reads.

uvicorn bounds none of them. Without limits one address fills the memory: requests are parsed and queued while the
answers to the first of them wait in buffers.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from security_common.addresses import network_of

__all__ = ["BoundedConnection", "bounded_connections"]

HEAD_SECONDS, HEAD_BYTES = 10.0, 64 * 1024
UNREAD_SECONDS = 20.0
"""How long an answer may wait for its client: until 48 KiB were taken of one that is larger than 64 KiB, and until a
single byte was taken of any other."""
PIPELINED_REQUESTS = 16
"""Requests that may be sent ahead of their answers. Browsers and HTTP libraries send none."""
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

logger = logging.getLogger(__name__)


class _TooManyPipelined(Exception):
    """Ends the parsing of what the client sent ahead."""


class BoundedConnection(HttpToolsProtocol):
    """A request line with its headers has ten seconds and 64 KiB, and an answer is given up that nobody reads.

    A head that is larger but comes within one read is for the application to refuse.
    """

    _in_head, _head_bytes, _refused = True, 0, False
    _head_deadline: asyncio.TimerHandle | None = None
    _unread_deadline: asyncio.TimerHandle | None = None
    _unread_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, transport.abort)
        self._check_unread_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_the_clock()
        for timer in (self._unread_deadline, self._unread_check):
            if timer is not None:
                timer.cancel()
        self._unread_deadline = self._unread_check = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        was_idle, cycle = self.timeout_keep_alive_task is not None, self.cycle
        super().data_received(data)
        # Empty lines before a request begin none, but they end uvicorn's wait for one.
        self._in_head |= was_idle and self.cycle is cycle
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._refused = True  # what still comes is dropped: closing on it would take the answer away
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.write_eof()
        if self._head_deadline is None:  # nearly every head comes whole and costs no timer
            self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            self._refused = True
            self.transport.abort()
            raise _TooManyPipelined
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_the_clock()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client has more than 64 KiB to read; `resume_writing` is called at 16 KiB."""
        super().pause_writing()
        if self._unread_deadline is None:
            self._unread_deadline = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None

    def _check_unread_later(self, before: tuple[object, int] | None = None) -> None:
        """Looks now and then whether an answer moves, also one of a connection that is closed but for its answer.

        One timer for each connection, since one for each answer would cost every request.
        """
        self._unread_check = self.loop.call_later(UNREAD_SECONDS, self._check_unread, before)

    def _check_unread(self, before: tuple[object, int] | None) -> None:
        now = self.cycle, self.transport.get_write_buffer_size()
        if now[1] and now == before:
            self.transport.abort()
            return
        self._check_unread_later(now)

    def _stop_the_clock(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


def bounded_connections(
    *, per_address: int, trusted_proxies: Sequence[IPv4Network | IPv6Network]
) -> type[BoundedConnection]:
    """The protocol of a server that takes `per_address` connections of one address, or IPv6 network of 64 bits.

    0 is no limit. Proxies are not limited: their connections are those of many clients.
    """
    connections: Counter[str] = Counter()

    class Connection(BoundedConnection):
        _counted: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            address = self.client[0] if self.client is not None else ""
            if not per_address or not address or _is_in(address, trusted_proxies):
                return
            source = network_of(address)
            if connections[source] >= per_address:
                self._refused = True
                transport.abort()
                return
            self._counted = source
            connections[source] += 1
            if connections[source] == per_address:
                logger.warning("%s has %d connections, further ones are refused", source, per_address)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._counted is not None:
                connections[self._counted] -= 1
                if not connections[self._counted]:
                    del connections[self._counted]
                self._counted = None
            super().connection_lost(exc)

    return Connection


def _is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    parsed = ip_address(address.partition("%")[0])
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
