"""One MCP server behind the gateway: which protocol version it speaks, and calls of it."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

from gateway_service.credentials import Credential
from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.circuit_breaker import CircuitBreaker
from gateway_service.upstreams.connection_pool import ConnectionPool, PooledConnection
from gateway_service.upstreams.errors import (
    SessionLost,
    UpstreamError,
    UpstreamFailure,
    UpstreamProtocolViolation,
    UpstreamTimeout,
)
from gateway_service.upstreams.http_exchange import HttpConnections
from gateway_service.upstreams.http_transport import HttpTransport
from gateway_service.upstreams.program_process import MaskText
from gateway_service.upstreams.server_description import ProtocolEra, ServerDescription
from gateway_service.upstreams.sse_transport import SseTransport
from gateway_service.upstreams.stdio_transport import StdioTransport
from gateway_service.upstreams.transport import (
    NO_TRACE,
    Connection,
    ListChangeHandler,
    NotificationHandler,
    OutgoingRequest,
    Transport,
)
from gateway_service.wire.json_rpc import INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION, encode
from gateway_service.wire.versions import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    PROTOCOL_VERSION,
    STATELESS_VERSION,
    implementation,
)

__all__ = ["Upstream", "UpstreamCall"]

MAX_PAGES = 64
MAX_PAGES_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 2000
MAX_ERROR_CODE = 2**53 - 1
"""Clients in JavaScript read a larger number as another one, or as infinity."""

_CODES_OF_ANOTHER_ERA = frozenset({INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION})
"""Errors with which a server of another era refuses the handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """A request for an upstream.

    `owner` is the caller for whom it is sent; callers do not share a session or a program. `named` is what Mcp-Name
    repeats, and `headers` are those of its parameters. `trace_id` is that of the gateway's own request.

    `on_notification` receives progress and log messages while the call runs; progress is requested only with it.
    `capabilities` are declared to servers of 2026-07-28 for this request, and `metadata` are further members of its
    `_meta`. Older servers get neither.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    owner: str = ""
    named: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    trace_id: str = NO_TRACE
    on_notification: NotificationHandler | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


def _withhold(_: str) -> str:
    """For callers without a detector of personal data."""
    return "(not logged)"


class Upstream:
    """Sends requests to one server. Of a caller, it gets nothing but the parameters of the call and its credential."""

    def __init__(
        self,
        declaration: UpstreamDeclaration,
        connections: HttpConnections,
        credential: Credential | None = None,
        *,
        mask: MaskText = _withhold,
    ) -> None:
        """`mask` masks personal data in what a program writes to its standard error, before it is logged."""
        self.declaration = declaration
        self.name = declaration.name
        self.breaker = CircuitBreaker(
            declaration.name, max_in_flight=declaration.max_in_flight, trial_seconds=declaration.silent_seconds
        )
        self.era: ProtocolEra | None = None
        self._credential = credential
        self._transport = _make_transport(declaration, connections, credential, mask)
        self._pool = ConnectionPool(
            declaration.name,
            self._open,
            max_connections=self._transport.max_connections,
            idle_seconds=self._transport.idle_seconds,
        )
        self._eras = WeakKeyDictionary[Connection, ProtocolEra]()
        self._descriptions = WeakKeyDictionary[Connection, ServerDescription]()
        """What the server has said about itself to the gateway. What it says to a caller may be about this caller."""
        self._ids = itertools.count(1)
        self._finding_era = asyncio.Lock()
        self._opening_failure: UpstreamFailure | None = None
        """The last outage while the era was being found."""
        self._list_change_handlers: list[ListChangeHandler] = []

    def watch_list_changes(self, handler: ListChangeHandler) -> None:
        """Calls the handler when the server reports on some connection that one of its lists has changed."""
        self._list_change_handlers.append(handler)

    def stop_watching(self, handler: ListChangeHandler) -> None:
        """Does not call the handler any more."""
        self._list_change_handlers.remove(handler)

    async def call(self, call: UpstreamCall) -> dict[str, Any]:
        """The result of a request. Raises `UpstreamFailure`, and what getting its credential raises.

        A request is sent again only if the upstream has refused it before it was processed: because of the version or
        the credential, or because the session is unknown. A task that is cancelled here cancels the request at the
        server as well. All of it together takes no longer than `longest` of the declaration.
        """
        with self.breaker.call(call.owner):
            async with self._time_limit():
                try:
                    return await self._send(call)
                except SessionLost:
                    pass
                except UpstreamError as error:
                    if error.code != UNSUPPORTED_PROTOCOL_VERSION:
                        raise
                return await self._send(call)

    async def probe(self) -> ServerDescription:
        """What the server says about itself to the gateway, asked again. Raises as `call`."""
        with self.breaker.call():
            async with self._time_limit(), self._finding_era:
                was_known = self.era is not None
                entry = await self._pool.acquire("")
                try:
                    found = self._descriptions.get(entry.connection)
                    if was_known or found is None:
                        found = await self._describe(entry.connection)
                finally:
                    self._pool.release(entry)
                if found is None:
                    self._forget_era()
                    entry = await self._pool.acquire("")
                    found = self._descriptions[entry.connection]
                    self._pool.release(entry)
                return found

    async def list_items(self, method: str, member: str, *, owner: str = "") -> list[Any]:
        """The items of all pages of a list, as the upstream sends them to this owner. Raises as `call`."""
        items: list[Any] = []
        size_bytes = 0
        cursors: set[str] = set()
        cursor: str | None = None
        while True:
            params = {} if cursor is None else {"cursor": cursor}
            page = await self.call(UpstreamCall(method=method, params=params, owner=owner))
            listed: Any = page.get(member)
            if not isinstance(listed, list):
                raise self._violation(f"sent a list without {member}")
            items += cast("list[Any]", listed)
            if len(items) > MAX_ITEMS:
                raise self._violation(f"sent a list with more than {MAX_ITEMS} {member}")
            following: Any = page.get("nextCursor")
            if not isinstance(following, str):
                return items
            size_bytes += len(await asyncio.to_thread(encode, page))
            if following in cursors or len(cursors) >= MAX_PAGES or size_bytes > MAX_PAGES_BYTES:
                raise self._violation(f"sent a list of {member} without an end")
            cursors.add(following)
            cursor = following

    async def close(self) -> None:
        """Closes all connections: ends sessions and programs."""
        await self._pool.close()
        if self._credential is not None:
            await self._credential.close()

    def _forget_era(self) -> None:
        self.era = None
        self._pool.clear()

    async def _send(self, call: UpstreamCall) -> dict[str, Any]:
        entry = await self._acquire(call.owner)
        try:
            is_stateless = self._eras[entry.connection] is ProtocolEra.STATELESS
            return await self._ask(entry.connection, call, is_stateless=is_stateless)
        except SessionLost:
            self._pool.discard(entry)
            raise
        except UpstreamError as error:
            # Perhaps another release of the server, with other versions, or a session that it does not know. But tools
            # answer -32600 to bad input as well, so only the connection of this caller is replaced. A program remains
            # the same release.
            if error.code == UNSUPPORTED_PROTOCOL_VERSION:
                self.era = None
                self._pool.discard(entry)
            elif error.code == INVALID_REQUEST and self.declaration.program is None:
                self._pool.discard(entry)
            raise
        finally:
            self._pool.release(entry)

    async def _acquire(self, owner: str) -> PooledConnection[Connection]:
        """The connection of this owner; `release` has to follow. The era is known then."""
        if self.era is not None:
            return await self._pool.acquire(owner)
        earlier_failure = self._opening_failure
        async with self._finding_era:
            failure = self._opening_failure
            if self.era is None and failure is not None and failure is not earlier_failure:
                raise failure  # it has failed while this call waited
            try:
                entry = await self._pool.acquire(owner)
            except UpstreamFailure as outage:
                if outage.is_outage:
                    self._opening_failure = outage
                raise
            if self.era is None:
                self.era = self._eras[entry.connection]
            return entry

    @asynccontextmanager
    async def _time_limit(self) -> AsyncGenerator[None]:
        """Raises `UpstreamTimeout` when the block takes longer than `longest` of the declaration."""
        try:
            async with asyncio.timeout(self.declaration.longest_seconds):
                yield
        except TimeoutError as failure:
            raise UpstreamTimeout.named(self.name) from failure

    def _request(self, call: UpstreamCall, *, is_stateless: bool) -> OutgoingRequest:
        message_id = next(self._ids)
        params, metadata = dict(call.params), dict[str, Any]()
        if is_stateless:
            metadata = _own_metadata(call)
        if call.on_notification is not None:
            metadata["progressToken"] = message_id
        if metadata:
            params["_meta"] = metadata
        return OutgoingRequest(
            id=message_id,
            method=call.method,
            params=params,
            is_stateless=is_stateless,
            owner=call.owner,
            named=call.named,
            headers=call.headers,
            trace_id=call.trace_id,
            on_notification=call.on_notification,
        )

    async def _open(self, owner: str) -> Connection:
        """A connection that can be used: its version is agreed, if the versions of this server need that."""
        async with self._time_limit():
            connection = await self._transport.connect(owner, self._report_list_change)
            return await self._agree(connection, owner)

    async def _agree(self, connection: Connection, owner: str) -> Connection:
        """Finds out or agrees which version is spoken on a connection; it is closed if that fails."""
        try:
            found = await self._discover(connection, owner) if self.era is not ProtocolEra.HANDSHAKE else None
            if found is None:
                found = await self._shake_hands(connection, owner)
        except BaseException as failure:
            if isinstance(failure, UpstreamError) and failure.code in _CODES_OF_ANOTHER_ERA:
                self.era = None
            await connection.close()
            raise
        if not owner or self._credential is None:
            self._descriptions[connection] = found
        self.era = self._eras[connection] = found.era
        return connection

    async def _describe(self, connection: Connection) -> ServerDescription | None:
        """What the server says about itself now. None if its versions are not those of this connection any more."""
        found = await self._discover(connection, "")
        if self._eras[connection] is ProtocolEra.STATELESS:
            return found
        if found is not None:
            return None
        known = self._descriptions.get(connection)
        if known is None:  # it is shared, and was opened for a caller
            known = self._descriptions[connection] = await self._shake_hands(connection, "")
        return known

    async def _discover(self, connection: Connection, owner: str) -> ServerDescription | None:
        """What the server says about itself; None if it does not speak 2026-07-28.

        Only servers of that version know the request `server/discover`. An error is the answer of an older server. A
        server can know the request and still not speak that version, so the version has to be in its answer.
        """
        try:
            async with asyncio.timeout(self._transport.probe_seconds):
                discovery = UpstreamCall(method="server/discover", owner=owner)
                found = await self._ask(connection, discovery, is_stateless=True)
        except (UpstreamError, TimeoutError):
            return None
        except UpstreamTimeout:
            if self._transport.probe_seconds is None:
                raise
            return None
        except UpstreamProtocolViolation:
            if connection.is_closed:
                raise
            return None
        versions: Any = found.get("supportedVersions")
        if not isinstance(versions, list) or STATELESS_VERSION not in versions:
            return None
        return ServerDescription.read(ProtocolEra.STATELESS, found)

    async def _shake_hands(self, connection: Connection, owner: str) -> ServerDescription:
        """What the server says about itself in the handshake (MCP 2025-11-25, lifecycle)."""
        params = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": implementation()}
        call = UpstreamCall(method="initialize", params=params, owner=owner)
        agreed = await self._ask(connection, call, is_stateless=False)
        version: Any = agreed.get("protocolVersion")
        if version not in HANDSHAKE_VERSIONS:
            raise self._violation("speaks none of the protocol versions that the gateway knows")
        connection.agree(version)
        await connection.notify("notifications/initialized", {})
        return ServerDescription.read(ProtocolEra.HANDSHAKE, agreed)

    async def _ask(self, connection: Connection, call: UpstreamCall, *, is_stateless: bool) -> dict[str, Any]:
        return self._result(await connection.request(self._request(call, is_stateless=is_stateless)))

    def _result(self, response: Mapping[str, Any]) -> dict[str, Any]:
        if "error" in response:
            raise self._error(response["error"])
        result: Any = response["result"]
        if not isinstance(result, dict):
            raise self._violation("sent a result that is not an object")
        return cast("dict[str, Any]", result)

    def _error(self, error: Any) -> UpstreamError | UpstreamProtocolViolation:
        members = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        code, message = members.get("code"), members.get("message")
        if not isinstance(code, int) or isinstance(code, bool) or abs(code) > MAX_ERROR_CODE:
            return self._violation("sent a malformed error")
        if not isinstance(message, str):
            return self._violation("sent a malformed error")
        return UpstreamError(self.name, code, message, members.get("data"))

    def _report_list_change(self, method: str) -> None:
        for handler in self._list_change_handlers:
            handler(method)

    def _violation(self, what: str) -> UpstreamProtocolViolation:
        return UpstreamProtocolViolation.by(self.name, what)


def _own_metadata(call: UpstreamCall) -> dict[str, Any]:
    """The members of `_meta` that each request of 2026-07-28 needs."""
    return {
        **call.metadata,
        PROTOCOL_VERSION: STATELESS_VERSION,
        CLIENT_INFO: implementation(),
        CLIENT_CAPABILITIES: dict(call.capabilities),
    }


def _make_transport(
    declaration: UpstreamDeclaration, connections: HttpConnections, credential: Credential | None, mask: MaskText
) -> Transport:
    if declaration.program is not None:
        return StdioTransport(declaration, declaration.program, mask)
    if declaration.is_sse:
        return SseTransport(declaration, connections, credential)
    return HttpTransport(declaration, connections, credential)
