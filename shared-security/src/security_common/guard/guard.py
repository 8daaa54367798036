"""The layer itself: admits a request, or answers it."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from security_common.guard.addresses import read_source_address
from security_common.guard.answers import refusal_answer
from security_common.guard.asgi import Application, Message, Receive, Scope, Send
from security_common.guard.body import Disconnected, has_body, read_body, replaying
from security_common.guard.calls import read_called_tools
from security_common.guard.credentials import read_bearer_token
from security_common.guard.headers import RequestHeaders, read_trace_id
from security_common.guard.metadata import MetadataDocument
from security_common.guard.policy import GuardPolicy, ProtectedResource
from security_common.guard.refusals import InsufficientScope, InvalidToken, Refusal, TemporarilyUnavailable
from security_common.journal import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.tokens import AccessToken, Caller, KeysUnavailable, TokenRejected, TokenVerifier, current_caller

__all__ = ["CALLER", "Guard"]

CALLER = "security_common.caller"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Request:
    """What is known of a request so far; a refusal is recorded with it."""

    scope: Scope
    receive: Receive
    headers: RequestHeaders
    source_address: str
    trace_id: str
    token: AccessToken | None = None


class Guard:
    """Protects an ASGI application: every path needs a token with the resource's scopes, unless the policy opens it.

    `tool_scopes` maps an MCP tool to the scopes its calls need on top. With a journal, refusals are on record.
    Behind the guard, `current_caller` and `scope["security_common.caller"]` hold the `Caller`.
    """

    def __init__(
        self,
        app: Application,
        *,
        verifier: TokenVerifier,
        resource: ProtectedResource,
        journal: Journal | None = None,
        tool_scopes: Mapping[str, frozenset[str]] | None = None,
        policy: GuardPolicy | None = None,
        new_trace_id: Callable[[], str] = lambda: os.urandom(16).hex(),
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._resource = resource
        self._scopes = frozenset(resource.scopes)
        self._journal = journal
        self._tool_scopes = tool_scopes or {}
        self._policy = policy or GuardPolicy()
        self._metadata = MetadataDocument(resource)
        self._new_trace_id = new_trace_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, self._starting_keys(send))
        else:
            # A WebSocket handshake in a browser can carry no Authorization header; nothing here needs one.
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = RequestHeaders(scope["headers"])
        if self._metadata.is_at(scope["path"]):
            await self._metadata.answer(scope["method"], headers).send(send)
            return
        source = read_source_address(scope, headers, self._policy.trusted_proxies)
        request = _Request(scope, receive, headers, source, read_trace_id(headers, self._new_trace_id))
        try:
            caller = await self._admit(request)
        except Refusal as refusal:
            await self._record(refusal, request)
            await refusal_answer(refusal, self._resource).send(send)
            return
        except Disconnected:
            return
        scope[CALLER] = caller
        mark = current_caller.set(caller)
        try:
            await self._app(scope, request.receive, send)
        finally:
            current_caller.reset(mark)

    async def _admit(self, request: _Request) -> Caller | None:
        """Takes a request through every rule; None on open paths. Raises `Refusal`."""
        needs_token = not self._policy.is_open(request.scope["path"])
        if needs_token:
            request.token = await self._verify(request)
            self._require_scopes(request.token, ())
        body = await self._bound_body(request)
        if request.token is None:
            return None
        if self._tool_scopes and body and request.scope["path"] == self._resource.path:
            self._require_scopes(request.token, read_called_tools(body, request.headers))
        return Caller(token=request.token, source_address=request.source_address, trace_id=request.trace_id)

    async def _verify(self, request: _Request) -> AccessToken:
        bearer = read_bearer_token(request.headers, request.scope["query_string"])
        try:
            return await self._verifier.verify(bearer)
        except TokenRejected as error:
            raise InvalidToken(error.reason, error.description, hint=error.hint) from error
        except KeysUnavailable as error:
            raise TemporarilyUnavailable(
                error.description, hint=error.hint, retry_after_seconds=error.retry_after_seconds
            ) from error

    async def _bound_body(self, request: _Request) -> bytes:
        if not has_body(request.scope["method"], request.headers):
            return b""
        body = await read_body(
            request.receive,
            request.headers,
            max_bytes=self._policy.max_body_bytes,
            deadline_seconds=self._policy.body_deadline_seconds,
        )
        request.receive = replaying(body, request.receive)
        return body

    def _require_scopes(self, token: AccessToken, tools: Sequence[str]) -> None:
        # Every scope at once: a client that is told one at a time asks its user again and again.
        needed = self._scopes.union(*(self._tool_scopes.get(name, frozenset()) for name in tools))
        if not needed <= token.scopes:
            raise InsufficientScope(sorted(needed), tool_name=next(iter(tools), None))

    async def _record(self, refusal: Refusal, request: _Request) -> None:
        if self._journal is None:
            return
        token = request.token
        event = AuditEvent(
            event_type="access_refused",
            action_taken="refused",
            outcome=Outcome.REFUSED,
            reason=refusal.reason,
            tool_name=refusal.tool_name,
            user_id=token.subject if token else None,
            issuer=token.issuer if token else None,
            client_id=token.client_id if token else None,
            source_address=request.source_address,
            trace_id=request.trace_id,
        )
        try:
            await self._journal.record(event)
        except JournalUnavailable as error:
            # Nothing was let through, so the answer stays what it is.
            logger.warning("a refusal (%s) is not on record: %s", refusal.reason, error.description)

    def _starting_keys(self, send: Send) -> Send:
        """Starts the verifier when the application is up, and stops it when the application is down."""

        async def send_and_follow(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._verifier.start()
            elif message["type"].startswith("lifespan.shutdown"):
                await self._verifier.stop()
            await send(message)

        return send_and_follow
