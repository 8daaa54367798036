"""The contract between an upstream and the transports that carry its messages: Streamable HTTP, HTTP+SSE and stdio.

    Upstream ─▶ ConnectionPool ─▶ Transport.connect(owner) ─▶ Connection: requests, notifications, close

A transport exchanges messages. The protocol version matters to it only where messages are framed differently.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = [
    "NO_TRACE",
    "Connection",
    "ListChangeHandler",
    "Notification",
    "NotificationHandler",
    "OutgoingRequest",
    "PoolableConnection",
    "Transport",
]

NO_TRACE = "0" * 32
"""The trace id of requests that the gateway sends of its own accord."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a server reports while it works on a request: progress, or a log message. Its texts are not protected yet.

    The progress token of the gateway is removed from `params`.
    """

    method: str
    params: Mapping[str, Any] = field(repr=False)


NotificationHandler = Callable[[Notification], Awaitable[None]]
"""Receives the notifications of one request, in order, while the request is in progress."""

ListChangeHandler = Callable[[str], None]
"""Receives the method of a notification that a list has changed, such as `notifications/tools/list_changed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """One request for a server. `is_stateless` is whether it follows 2026-07-28, in which each request is complete.

    `owner` is the caller for whom it is sent; it is empty for a request of the gateway itself. `named` and `headers`
    are what Streamable HTTP repeats of the parameters in headers. The id is unique within the upstream, and also the
    progress token.
    """

    id: int
    method: str
    params: dict[str, Any] = field(repr=False)
    is_stateless: bool
    owner: str = ""
    named: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    trace_id: str = NO_TRACE
    on_notification: NotificationHandler | None = None


class PoolableConnection(Protocol):
    """What a connection pool has to know of a connection."""

    @property
    def is_closed(self) -> bool:
        """Whether requests cannot be sent any more, so that another connection is needed."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether all callers use this connection, because the server keeps nothing of a caller in it."""
        ...

    @property
    def is_stateful(self) -> bool:
        """Whether the server keeps something for this connection that is released when it is closed."""
        ...

    async def close(self) -> None:
        """Ends the conversation. Raises nothing."""
        ...


class Connection(PoolableConnection, Protocol):
    """A conversation with one server.

    Requests of the server to its client are refused or end the connection: the gateway declares no capability to
    servers of older versions, and in 2026-07-28 an input request is part of a result.
    """

    def agree(self, version: str) -> None:
        """Sets the protocol version on which `initialize` has agreed, for servers up to 2025-11-25."""
        ...

    async def request(self, request: OutgoingRequest) -> dict[str, Any]:
        """The response: a message with this id and either `result` or `error`.

        A task that is cancelled here cancels the request at the server. Raises `UpstreamFailure`.
        """
        ...

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Sends a notification. Raises `UpstreamFailure`."""
        ...


class Transport(Protocol):
    """Opens connections to one server."""

    @property
    def max_connections(self) -> int:
        """How many connections there may be at the same time."""
        ...

    @property
    def idle_seconds(self) -> float:
        """After which time without a request a stateful connection is closed."""
        ...

    @property
    def probe_seconds(self) -> float | None:
        """After which time a server that does not answer `server/discover` is taken for one of an older version.

        None where each server has to answer every request.
        """
        ...

    async def connect(self, owner: str, on_list_change: ListChangeHandler) -> Connection:
        """A connection for one caller. Raises `UpstreamFailure`."""
        ...
