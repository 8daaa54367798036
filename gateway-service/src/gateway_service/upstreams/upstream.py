"""One MCP server behind the gateway: which protocol version it speaks, and calls of it."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from gateway_service.declaration import UpstreamDeclaration
from gateway_service.upstreams.circuit_breaker import CircuitBreaker
from gateway_service.upstreams.errors import SessionLost, UpstreamError, UpstreamProtocolViolation, UpstreamTimeout
from gateway_service.upstreams.http_exchange import HttpConnections, HttpExchange, Reply
from gateway_service.upstreams.legacy_sessions import LegacySession, LegacySessions
from gateway_service.upstreams.secret_headers import SecretHeaders
from gateway_service.wire.json_rpc import INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION, encode
from gateway_service.wire.request_headers import encode_value
from gateway_service.wire.versions import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    PROTOCOL_VERSION,
    STATELESS_VERSION,
    implementation,
)
from security_common.errors import SecurityError
from security_common.task_cancellation import cancel_tasks

__all__ = ["ProtocolEra", "Upstream", "UpstreamCall"]

MAX_PAGES = 64
MAX_TOOLS = 2000
_ACCEPT = "application/json, text/event-stream"
_NO_TRACE = "0" * 32


class ProtocolEra(Enum):
    """The two kinds of protocol versions."""

    HANDSHAKE = LATEST_HANDSHAKE_VERSION
    STATELESS = STATELESS_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """A request for an upstream.

    `owner` is the caller for whom it is sent; callers do not share a session. `named` is what Mcp-Name repeats.
    `headers` are those of its parameters. `trace_id` is that of the gateway's own request.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    owner: str = ""
    named: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    trace_id: str = _NO_TRACE


class Upstream:
    """Sends requests to one server. Nothing of the gateway's own callers but the parameters of a call reaches it."""

    def __init__(self, declaration: UpstreamDeclaration, connections: HttpConnections) -> None:
        self.declaration = declaration
        self.name = declaration.name
        self.breaker = CircuitBreaker(declaration.name, max_in_flight=declaration.max_in_flight)
        self.era: ProtocolEra | None = None
        self.instructions: str | None = None
        self._exchange = HttpExchange(declaration, connections)
        self._secrets = SecretHeaders(declaration)
        self._sessions = LegacySessions(self._open_session)
        self._ids = itertools.count(1)
        self._finding_era = asyncio.Lock()
        # The event loop keeps only weak references to its tasks.
        self._notifications: set[asyncio.Task[None]] = set()

    async def call(self, call: UpstreamCall) -> dict[str, Any]:
        """The result of a request. Raises `UpstreamFailure`, and `SecretMissing` for its own credential.

        A request is sent again only if the upstream has refused it before it was processed: because of the version, or
        because the session is unknown.
        """
        with self.breaker.call():
            await self._require_era()
            try:
                return await self._send(call)
            except UpstreamError as error:
                if error.code == INVALID_REQUEST:
                    # Perhaps another release of the server, with other versions: it is probed at the next call.
                    self.era = None
                    self._sessions.clear()
                if error.code != UNSUPPORTED_PROTOCOL_VERSION:
                    raise
            self.era = None
            await self._require_era()
            return await self._send(call)

    async def probe(self) -> None:
        """Finds out which versions the server speaks, also if that is known. Raises as `call`."""
        with self.breaker.call():
            async with self._finding_era:
                await self._find_era()

    async def list_tools(self) -> list[Any]:
        """The definitions of all tools, as the upstream sends them. Raises as `call`."""
        tools: list[Any] = []
        cursors: set[str] = set()
        cursor: str | None = None
        while True:
            params = {} if cursor is None else {"cursor": cursor}
            page = await self.call(UpstreamCall(method="tools/list", params=params))
            listed: Any = page.get("tools")
            if not isinstance(listed, list):
                raise self._violation("sent a tool list without tools")
            tools += cast("list[Any]", listed)
            following: Any = page.get("nextCursor")
            if not isinstance(following, str):
                return tools
            if following in cursors or len(cursors) >= MAX_PAGES or len(tools) > MAX_TOOLS:
                raise self._violation("sent a tool list without an end")
            cursors.add(following)
            cursor = following

    async def close(self) -> None:
        """Forgets all sessions, and ends what is still being sent."""
        self._sessions.clear()
        await cancel_tasks(*self._notifications)

    async def _require_era(self) -> None:
        if self.era is None:
            async with self._finding_era:
                if self.era is None:
                    await self._find_era()

    async def _find_era(self) -> None:
        """Asks for `server/discover`, which only servers of 2026-07-28 know. Another error is the answer of an old one.

        A server can know the request and still not speak that version, so the version has to be in its answer.
        """
        try:
            found = await self._send_stateless(UpstreamCall(method="server/discover"))
        except (UpstreamError, UpstreamProtocolViolation):
            found = {}
        versions: Any = found.get("supportedVersions")
        if isinstance(versions, list) and STATELESS_VERSION in versions:
            self.era = ProtocolEra.STATELESS
            self._note_instructions(found)
        else:
            await self._sessions.of("")
            self.era = ProtocolEra.HANDSHAKE

    async def _send(self, call: UpstreamCall) -> dict[str, Any]:
        if self.era is ProtocolEra.STATELESS:
            return await self._send_stateless(call)
        session = await self._sessions.of(call.owner)
        try:
            return await self._send_in_session(call, session)
        except SessionLost:
            self._sessions.forget(session)
        session = await self._sessions.of(call.owner)
        return await self._send_in_session(call, session)

    async def _send_stateless(self, call: UpstreamCall) -> dict[str, Any]:
        metadata = {PROTOCOL_VERSION: STATELESS_VERSION, CLIENT_INFO: implementation(), CLIENT_CAPABILITIES: {}}
        headers = {"MCP-Protocol-Version": STATELESS_VERSION, "Mcp-Method": call.method, **call.headers}
        if call.named is not None:
            headers["Mcp-Name"] = encode_value(call.named)
        reply = await self._post(call, {**call.params, "_meta": metadata}, headers)
        return self._result(reply)

    async def _send_in_session(self, call: UpstreamCall, session: LegacySession) -> dict[str, Any]:
        message_id = next(self._ids)
        try:
            reply = await self._post(call, dict(call.params), session.headers, message_id=message_id)
        except (asyncio.CancelledError, UpstreamTimeout):
            self._notify_cancelled(session, message_id)
            raise
        if reply.status == 404 and session.session_id is not None:
            raise SessionLost(f"{self.name} has lost the session", hint="try again")
        return self._result(reply)

    async def _open_session(self) -> LegacySession:
        """Runs the handshake (MCP 2025-11-25, lifecycle)."""
        params = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": implementation()}
        reply = await self._post(UpstreamCall(method="initialize"), params, {})
        agreed = self._result(reply)
        version: Any = agreed.get("protocolVersion")
        if version not in HANDSHAKE_VERSIONS:
            raise self._violation("speaks none of the protocol versions that the gateway knows")
        self._note_instructions(agreed)
        session = LegacySession(version, reply.session_id)
        notification = encode({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await self._exchange.post(notification, self._headers(_NO_TRACE, session.headers), message_id=None)
        return session

    def _notify_cancelled(self, session: LegacySession, message_id: int) -> None:
        """Reports that the caller has abandoned a request. In these versions a closed connection does not mean that.

        It is sent in a task of its own, because a cancelled task cannot wait for it.
        """
        params = {"requestId": message_id, "reason": "the caller is gone or the time is over"}
        sending = asyncio.create_task(self._notify("notifications/cancelled", params, session))
        self._notifications.add(sending)
        sending.add_done_callback(self._notifications.discard)

    async def _notify(self, method: str, params: Mapping[str, Any], session: LegacySession) -> None:
        notification = encode({"jsonrpc": "2.0", "method": method, "params": dict(params)})
        with contextlib.suppress(SecurityError):  # the upstream may be down, and the caller has its answer
            await self._exchange.post(notification, self._headers(_NO_TRACE, session.headers), message_id=None)

    async def _post(
        self, call: UpstreamCall, params: dict[str, Any], headers: Mapping[str, str], *, message_id: int | None = None
    ) -> Reply:
        message_id = next(self._ids) if message_id is None else message_id
        body = encode({"jsonrpc": "2.0", "id": message_id, "method": call.method, "params": params})
        return await self._exchange.post(body, self._headers(call.trace_id, headers), message_id=message_id)

    def _headers(self, trace_id: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Every header of a request. None of them is taken from the request of a client."""
        own = {"Content-Type": "application/json", "Accept": _ACCEPT, "Accept-Encoding": "identity"}
        if trace_id != _NO_TRACE:
            own["traceparent"] = f"00-{trace_id}-{os.urandom(8).hex()}-01"
        return {**self._secrets.current(), **own, **headers}

    def _result(self, reply: Reply) -> dict[str, Any]:
        if reply.message is None:
            raise self._violation(f"answered with HTTP status {reply.status}")
        if "error" in reply.message:
            raise self._error(reply.message["error"])
        result: Any = reply.message["result"]
        if not isinstance(result, dict):
            raise self._violation("sent a result that is not an object")
        return cast("dict[str, Any]", result)

    def _error(self, error: Any) -> UpstreamError | UpstreamProtocolViolation:
        members = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        code, message = members.get("code"), members.get("message")
        if not isinstance(code, int) or not isinstance(message, str):
            return self._violation("sent a malformed error")
        return UpstreamError(self.name, code, message, members.get("data"))

    def _note_instructions(self, described: Mapping[str, Any]) -> None:
        instructions: Any = described.get("instructions")
        self.instructions = instructions if isinstance(instructions, str) else None

    def _violation(self, what: str) -> UpstreamProtocolViolation:
        return UpstreamProtocolViolation(f"{self.name} {what}", hint="its operator has to correct it")
