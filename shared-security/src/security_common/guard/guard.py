"""The layer itself: admits a request, or answers it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from security_common.addresses import AddressReader
from security_common.audit import Journal
from security_common.browser_requests import is_asked_by_browsers
from security_common.guard.answers import NOTHING_HERE, Answer, refusal_answer
from security_common.guard.asgi import Application, Message, Receive, Scope, Send
from security_common.guard.body import Disconnected, has_body, read_body, replaying
from security_common.guard.calls import CalledTool, ToolScopes, read_called_tools
from security_common.guard.credentials import read_bearer_token
from security_common.guard.headers import RequestHeaders, read_trace_id, require_bounded
from security_common.guard.metadata import MetadataDocument
from security_common.guard.origins import Origins, allowing, is_preflight, preflight_answer
from security_common.guard.policy import GuardPolicy, ProtectedResource
from security_common.guard.rates import RequestRates
from security_common.guard.record import RefusalRecord
from security_common.guard.refusals import (
    InsufficientScope,
    InvalidToken,
    NotFound,
    Refusal,
    TemporarilyUnavailable,
    TooManyRequests,
)
from security_common.tokens import AccessToken, Caller, KeysUnavailable, TokenRejected, TokenVerifier, current_caller

__all__ = ["CALLER", "Guard"]

CALLER = "security_common.caller"

# Where clients look for an authorization server below the resource's own path (OpenID Connect Discovery section 4).
_ISSUER_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")

_READING = frozenset({"GET", "HEAD"})


@dataclass(slots=True)
class _Request:
    """What is known of a request so far; a refusal is recorded with it."""

    scope: Scope
    receive: Receive
    send: Send
    headers: RequestHeaders
    source_address: str
    trace_id: str
    path: str
    method: str
    token: AccessToken | None = None
    is_open: bool = False


class Guard:
    """Protects an ASGI application: every path needs a token with the resource's scopes, unless the policy opens it.

    `tool_scopes` maps an MCP tool to the scopes its calls need on top, or to a function that tells them from a call's
    arguments. With a journal, refusals are on record.
    Behind the guard, `current_caller` and `scope["security_common.caller"]` hold the `Caller`.
    """

    def __init__(
        self,
        app: Application,
        *,
        verifier: TokenVerifier,
        resource: ProtectedResource,
        journal: Journal | None = None,
        tool_scopes: ToolScopes | None = None,
        policy: GuardPolicy | None = None,
        rates: RequestRates | None = None,
        clock: Callable[[], float] = time.time,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._resource = resource
        self._scopes = frozenset(resource.scopes)
        self._tool_scopes = tool_scopes or {}
        self._mcp_path = resource.path.rstrip("/")
        self._policy = policy or GuardPolicy()
        self._read_address = AddressReader(self._policy.trusted_proxies)
        self._open_prefixes = tuple(f"{prefix}/" for prefix in self._policy.open_prefixes)
        self._rates = rates or RequestRates(clock=clock)
        self._record = RefusalRecord(journal, clock=clock)
        self._metadata = MetadataDocument(resource)
        self._origins = Origins(resource, hosts=self._policy.allowed_hosts, origins=self._policy.allowed_origins)
        self._randomness = randomness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            await self._serve(self._begin(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._app(scope, self._stopping_first(receive), self._starting_last(send))
        else:
            # A WebSocket handshake in a browser can carry no Authorization header; nothing here needs one.
            await send({"type": "websocket.close", "code": 1008})

    def _begin(self, scope: Scope, receive: Receive, send: Send) -> _Request:
        headers = RequestHeaders(scope["headers"])
        scope["headers"] = headers.trimmed
        source_address = self._read_address(scope)
        if (client := scope.get("client")) and client[0] != source_address:
            # The application sees who asks as well, on open paths too; the port was the proxy's.
            scope["client"] = (source_address, 0)
        trace_id = read_trace_id(headers, self._randomness)
        return _Request(scope, receive, send, headers, source_address, trace_id, scope["path"], scope["method"])

    async def _serve(self, request: _Request) -> None:
        caller: Caller | None = None
        try:
            answer = self._answer_ourselves(request)
            caller = await self._admit(request) if answer is None else None
        except Refusal as refusal:
            await self._record.write(
                refusal, token=request.token, source_address=request.source_address, trace_id=request.trace_id
            )
            answer = refusal_answer(refusal, self._resource)
        except Disconnected:
            return
        if answer is not None:
            await answer.send(request.send)
            return
        request.scope[CALLER] = caller
        mark = current_caller.set(caller)
        try:
            await self._app(request.scope, request.receive, request.send)
        finally:
            current_caller.reset(mark)

    def _answer_ourselves(self, request: _Request) -> Answer | None:
        """What needs no token and is not the application's business; judges Host and Origin on the way."""
        require_bounded(request.headers, self._policy.max_header_bytes)
        if request.path in self._policy.open_paths:
            request.is_open = True
            return None
        if request.method in _READING and is_asked_by_browsers(request.path):
            return NOTHING_HERE
        self._origins.require_host(request.headers)
        if self._metadata.is_at(request.path):
            return self._metadata.answer(request.method, request.headers)
        origin = self._origins.require_origin(request.headers)
        if f"{request.path}/".startswith(self._open_prefixes):
            request.is_open = True
            return None
        if origin is not None:
            request.send = allowing(origin, request.send)
        if is_preflight(request.method, request.headers):
            return preflight_answer(request.headers)
        if request.path.startswith("/.well-known/") or request.path.endswith(_ISSUER_METADATA):
            raise NotFound(
                "there is nothing here", hint=f"the metadata of this resource: {self._resource.metadata_url}"
            )
        return None

    async def _admit(self, request: _Request) -> Caller | None:
        """Takes a request through the rules of its token and body; None on open paths. Raises `Refusal`."""
        if request.is_open:
            if has_body(request.method, request.headers):
                await self._bound_body(request)
            return None
        bearer = read_bearer_token(request.headers, request.scope["query_string"])
        token = request.token = self._verifier.recall(bearer) or await self._verify(bearer)
        self._require_measure(token)
        body = await self._bound_body(request) if has_body(request.method, request.headers) else b""
        # A route that ends in `$` takes a line break behind the path as well.
        calls_tools = self._tool_scopes and body and request.path.rstrip("/\n") == self._mcp_path
        self._require_scopes(token, read_called_tools(body) if calls_tools else ())
        return Caller(token=token, source_address=request.source_address, trace_id=request.trace_id)

    async def _verify(self, bearer: str) -> AccessToken:
        try:
            return await self._verifier.verify(bearer)
        except TokenRejected as error:
            raise InvalidToken(error.description, hint=error.hint, reason=error.reason) from error
        except KeysUnavailable as error:
            raise TemporarilyUnavailable(
                error.description, hint=error.hint, retry_after_seconds=error.retry_after_seconds
            ) from error

    def _require_scopes(self, token: AccessToken, calls: Sequence[CalledTool]) -> None:
        # Every scope at once: a client that is told one at a time asks its user again and again.
        needed = self._scopes.union(*(call.needed_scopes(self._tool_scopes) for call in calls))
        if not needed <= token.scopes:
            scopes = sorted(needed)
            short = (call.name for call in calls if not call.needed_scopes(self._tool_scopes) <= token.scopes)
            raise InsufficientScope(
                f"this needs the scopes {' '.join(scopes)}",
                hint="ask for a token with these scopes",
                scopes=scopes,
                tool_name=next(short, None),  # a name of our table: any other may hold whatever the client likes
            )

    def _require_measure(self, token: AccessToken) -> None:
        wait_seconds = self._rates.take(token.issuer, token.subject)
        if wait_seconds is not None:
            raise TooManyRequests("too many requests in this minute", retry_after_seconds=wait_seconds)

    async def _bound_body(self, request: _Request) -> bytes:
        body = await read_body(
            request.receive,
            request.headers,
            max_bytes=self._policy.max_body_bytes,
            deadline_seconds=self._policy.body_deadline_seconds,
        )
        request.receive = replaying(body, request.receive)
        return body

    def _starting_last(self, send: Send) -> Send:
        """Starts what runs in the background once the application has opened what it is given, such as Redis."""

        async def send_after_start(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._verifier.start()
                await self._rates.start()
            await send(message)

        return send_after_start

    def _stopping_first(self, receive: Receive) -> Receive:
        async def receive_after_stop() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._rates.stop()
                await self._verifier.stop()
                await self._record.stop()
            return message

        return receive_after_stop
