"""The guard: passes a request on to the application, or answers it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from security_common.audit import Journal, Reason
from security_common.browser_requests import is_browser_file
from security_common.edge import (
    Application,
    ClientAddressReader,
    ClientDisconnected,
    HttpResponse,
    Message,
    NotFound,
    Receive,
    Refusal,
    RequestContext,
    Scope,
    Send,
    current_request,
)
from security_common.edge.request_body import has_body, read_body, replaying
from security_common.edge.request_context import get_or_create_request_context, require_plain_path
from security_common.guard.bearer_token import read_bearer_token
from security_common.guard.called_tools import parse_body, read_called_tools, replace_lone_surrogates
from security_common.guard.guarded_paths import GuardedPath, GuardedPaths
from security_common.guard.origins import HostAndOriginRules, is_preflight, with_cors_headers
from security_common.guard.policy import FurtherResource, GuardPolicy, ProtectedResource
from security_common.guard.refusal_audit import RefusalAudit
from security_common.guard.refusals import InsufficientScope, InvalidToken, TemporarilyUnavailable, TooManyRequests
from security_common.guard.request_rates import RequestRates
from security_common.guard.responses import BROWSER_FILE_NOT_FOUND, preflight_response, refusal_response
from security_common.tokens import AccessToken, Caller, KeysUnavailable, TokenRejected, TokenVerifier, current_caller
from security_common.tokens.issuer_metadata import AUTHORIZATION_SERVER_METADATA_PATH, OPENID_CONFIGURATION_PATH
from security_common.tool_scopes import ToolScopes, scopes_of_call

__all__ = ["CALLER", "Guard"]

CALLER = "security_common.caller"

# Where clients look for an authorization server below the resource's own path (OpenID Connect Discovery section 4).
_ISSUER_METADATA_PATHS = (AUTHORIZATION_SERVER_METADATA_PATH, OPENID_CONFIGURATION_PATH)

_STATUS_RETRY_SECONDS = 5

_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(slots=True)
class _Exchange:
    """One request on its way through the guard. `token` is set once it is verified, for the event of a refusal."""

    scope: Scope
    receive: Receive
    send: Send
    context: RequestContext
    path: str
    method: str
    guarded: GuardedPath
    token: AccessToken | None = None
    is_open: bool = False


class Guard:
    """Protects an ASGI application.

    A request that reaches the application has a token with the resource's scopes, unless the policy opens its path. The
    guard itself answers preflights, and requests for the metadata and for files that browsers request on their own.

    `tool_scopes` maps an MCP tool to the further scopes that its calls need, or to a function that returns them for the
    arguments of a call. With a journal, each refusal becomes an audit event; above a limit they are only counted.

    `further_resources` are protected at paths of their own, such as `/mcp/crm` beside `/mcp`. A request belongs to the
    resource with the longest path, and its token must have been issued for that one. The verifier has to accept the
    audiences of all of them.

    The application finds the `Caller` in `current_caller` and in `scope["security_common.caller"]`, and the
    `RequestContext` in `current_request`.
    """

    def __init__(
        self,
        app: Application,
        *,
        verifier: TokenVerifier,
        resource: ProtectedResource,
        journal: Journal | None = None,
        tool_scopes: ToolScopes | None = None,
        further_resources: Sequence[FurtherResource] = (),
        policy: GuardPolicy | None = None,
        rates: RequestRates | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._resource = resource
        self._paths = GuardedPaths(resource, {} if tool_scopes is None else tool_scopes, further_resources)
        self._policy = policy or GuardPolicy()
        self._read_address = ClientAddressReader(self._policy.trusted_proxies)
        self._open_prefixes = tuple(f"{prefix}/" for prefix in self._policy.open_prefixes)
        self._rates = rates or RequestRates(clock=clock)
        self._audit = RefusalAudit(journal, clock=clock)
        self._origins = HostAndOriginRules(
            resource, hosts=self._policy.allowed_hosts, origins=self._policy.allowed_origins
        )
        self._random_bytes = random_bytes

    def replace_resources(self, tool_scopes: ToolScopes, further_resources: Sequence[FurtherResource]) -> None:
        """Replaces the scopes of tools and the further resources. Requests in progress keep those they began with.

        Raises ValueError, like the constructor, for a further resource of another origin, and for two at one path.
        """
        self._paths = GuardedPaths(self._resource, tool_scopes, further_resources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            context = get_or_create_request_context(
                scope, read_address=self._read_address, random_bytes=self._random_bytes
            )
            path = scope["path"]
            await self._serve(_Exchange(scope, receive, send, context, path, scope["method"], self._paths.at(path)))
        elif scope["type"] == "lifespan":
            await self._app(scope, self._stop_before_application(receive), self._start_after_application(send))
        else:
            # A browser cannot send an Authorization header with a WebSocket handshake, and no application needs one.
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, exchange: _Exchange) -> None:
        caller: Caller | None = None
        try:
            response = self._respond_without_token(exchange)
            if response is None:
                caller = await self._admit(exchange)
        except Refusal as refusal:
            await self._audit.record(
                refusal, token=exchange.token, request=exchange.context, recorded_names=exchange.guarded.recorded_names
            )
            response = refusal_response(refusal, exchange.guarded.resource)
        except ClientDisconnected:
            return
        if response is not None:
            await response(exchange.scope, exchange.receive, exchange.send)
            return
        exchange.scope[CALLER] = caller
        reset_caller = current_caller.set(caller)
        reset_request = current_request.set(exchange.context)
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        finally:
            current_request.reset(reset_request)
            current_caller.reset(reset_caller)

    def _respond_without_token(self, exchange: _Exchange) -> HttpResponse | None:
        """The response to what needs no token; None if the request needs one or its path is open. Raises `Refusal`.

        Sets `is_open` of the exchange. Adds CORS headers to the response to an allowed origin, except for open paths,
        browser files, and the metadata, which every origin may read.
        """
        require_plain_path(exchange.scope)
        path, method, headers = exchange.path, exchange.method, exchange.context.headers
        headers.require_size(self._policy.max_header_bytes)
        if path in self._policy.open_paths:
            exchange.is_open = True
            return None
        if method in _SAFE_METHODS and is_browser_file(path):
            return BROWSER_FILE_NOT_FOUND
        self._origins.require_host(headers)
        metadata = self._paths.metadata_at(path)
        if metadata is not None:
            return metadata.respond(method, headers)
        origin = self._origins.require_origin(headers)
        if f"{path}/".startswith(self._open_prefixes):
            exchange.is_open = True
            return None
        if origin is not None:
            exchange.send = with_cors_headers(origin, exchange.send)
        if is_preflight(method, headers):
            return preflight_response(headers)
        if path.startswith("/.well-known/") or path.endswith(_ISSUER_METADATA_PATHS):
            # Not a 401, which would make clients repeat the request with a token.
            metadata_url = exchange.guarded.resource.metadata_url
            raise NotFound("there is no such document", hint=f"the metadata of this resource: {metadata_url}")
        return None

    async def _admit(self, exchange: _Exchange) -> Caller | None:
        """The caller, or None on an open path. Raises `Refusal`.

        On a protected path the body is read last, so that only a caller whose token is valid and has the resource's
        scopes can make the server read one (unless an `Edge` in front has read it). On an open path it is read within
        the same limits.
        """
        if exchange.is_open:
            if has_body(exchange.method, exchange.context.headers):
                await self._read_body(exchange)
            return None
        context = exchange.context
        bearer = read_bearer_token(context.headers, exchange.scope["query_string"])
        token = self._verifier.find_cached(bearer)
        if token is None:
            token = await self._verify(bearer)
        exchange.token = token
        guarded = exchange.guarded
        if self._paths.has_several and guarded.resource.url not in token.audience:
            hint = f"request it with resource={guarded.resource.url}"
            raise InvalidToken("the token is for another audience", hint=hint, reason=Reason.WRONG_AUDIENCE)
        if not guarded.scopes <= token.scopes:
            _require_known_status(guarded.scopes, token)
            raise _insufficient_for_resource(guarded, context)
        wait_seconds = self._rates.take(token.issuer, token.subject)
        if wait_seconds is not None:
            raise TooManyRequests(
                "too many requests in this minute", hint="wait and try again", retry_after_seconds=wait_seconds
            )
        body = await self._read_body(exchange) if has_body(exchange.method, context.headers) else b""
        if body and exchange.path.rstrip("/") == guarded.mcp_path:
            repaired = replace_lone_surrogates(body)
            if repaired != body:
                await self._replace_body(exchange, repaired)
            document = await parse_body(repaired, keeps_spelling=self._policy.hands_on_document)
            if self._policy.hands_on_document:
                context.document = document
            _require_tool_scopes(guarded, token, document)
        return Caller(token=token, source_address=context.source_address, trace_id=context.trace_id)

    async def _verify(self, bearer: str) -> AccessToken:
        try:
            return await self._verifier.verify(bearer)
        except TokenRejected as error:
            raise InvalidToken(error.description, hint=error.hint, reason=error.reason) from error
        except KeysUnavailable as error:
            raise TemporarilyUnavailable(
                error.description, hint=error.hint, retry_after_seconds=error.retry_after_seconds
            ) from error

    async def _read_body(self, exchange: _Exchange) -> bytes:
        """The whole body, which the application receives as one message."""
        context = exchange.context
        if context.body is not None:  # an `Edge` in front has read it
            return context.body
        body = await read_body(
            exchange.receive,
            context.headers,
            max_bytes=self._policy.max_body_bytes,
            deadline_seconds=self._policy.body_deadline_seconds,
        )
        context.set_body(body)
        exchange.receive = replaying(body, exchange.receive)
        return body

    async def _replace_body(self, exchange: _Exchange, body: bytes) -> None:
        """Makes the application receive this body in place of the one that was read."""
        await exchange.receive()  # the original body, which is one message
        exchange.context.body = body
        exchange.receive = replaying(body, exchange.receive)

    def _start_after_application(self, send: Send) -> Send:
        """Starts the background tasks after the application has opened its connections, for example to Redis."""

        async def send_after_start(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._verifier.start()
                await self._rates.start()
            await send(message)

        return send_after_start

    def _stop_before_application(self, receive: Receive) -> Receive:
        """Stops the background tasks before the application closes its connections."""

        async def receive_after_stop() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._rates.stop()
                await self._verifier.stop()
                await self._audit.stop()
            return message

        return receive_after_stop


def _insufficient_for_resource(guarded: GuardedPath, context: RequestContext) -> InsufficientScope:
    """The refusal of a token without the resource's scopes.

    The body is not read. If the Mcp-Name header names the tool, the scopes that each of its calls needs are
    included, so that the client gets them at once.
    """
    tool_name = context.headers.last(b"mcp-name")
    if tool_name is None or tool_name not in guarded.tool_scopes:
        return InsufficientScope(sorted(guarded.scopes))
    scopes = guarded.scopes | scopes_of_call(guarded.tool_scopes, tool_name, {})
    return InsufficientScope(sorted(scopes), tool_name=tool_name)


def _require_known_status(needed: frozenset[str], token: AccessToken) -> None:
    """Raises `TemporarilyUnavailable` if the token has a needed scope that is withheld.

    Scopes are withheld while the status list that would say whether the token is revoked is too old.
    """
    if needed & token.withheld_scopes:
        raise TemporarilyUnavailable(
            "the issuer's list of revoked tokens is too old for this request",
            hint="try again when the issuer answers",
            retry_after_seconds=_STATUS_RETRY_SECONDS,
        )


def _require_tool_scopes(guarded: GuardedPath, token: AccessToken, document: Any) -> None:
    """Raises `InvalidMessageId`, or `InsufficientScope` with every scope that the calls in the body need.

    A client that learned the missing scopes one at a time would ask its user for each of them.
    """
    calls = read_called_tools(document)
    needed = guarded.scopes.union(*(call.required_scopes(guarded.tool_scopes) for call in calls))
    if needed <= token.scopes:
        return
    _require_known_status(needed, token)
    refused = [call.name for call in calls if not call.required_scopes(guarded.tool_scopes) <= token.scopes]
    # A refused name is always in `tool_scopes`. Other names are text of the client and may contain personal data.
    raise InsufficientScope(sorted(needed), tool_name=refused[0])
