"""The one module that knows FastMCP: what makes `secure_tool` whole on a FastMCP 4 server.

    tools/call ──▶ PolicyMiddleware ──▶ FastMCP validates ──▶ secure_tool ──▶ the tool
                    │ errors, lists                            │ arguments, result, record
                    └ GuardedSession ◀── progress, log lines, questions ◀──┘

    mcp = FastMCP("example")

    @mcp.tool
    @secure_tool(pii_policy="mask", scopes=["mcp.decrypt"])
    async def look_up(person_id: Annotated[str, Identifier], ctx: Context) -> Person: ...

    tool_scopes = secure_server(mcp)      # after the last tool; the guard takes the table

Resources and prompts wear `secure_tool` in the same way. What a client sees of an error is a sentence a model can act
on; what it sees of a list is what its scopes, or those it may still ask for, allow.
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, cast

import mcp_types as types
from fastmcp import FastMCP
from fastmcp.exceptions import (
    DisabledError,
    FastMCPError,
    NotFoundError,
    PromptError,
    ResourceError,
    ToolError,
    ValidationError,
)
from fastmcp.server.dependencies import (
    get_dependency_parameters,  # pyright: ignore[reportPrivateImportUsage] - the function FastMCP injects by
    transform_context_annotations,
)
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.transforms import GetToolNext, Transform
from fastmcp.tools import Tool
from fastmcp.utilities.types import Audio, File, Image
from fastmcp.utilities.versions import VersionSpec
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel
from pydantic import ValidationError as PydanticValidationError

from security_common.audit import AuditEvent, JournalUnavailable, Outcome
from security_common.errors import SecurityError
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import (
    DataWalk,
    FrameworkAdapter,
    ToolPolicyError,
    current_adapter,
    current_call,
    policy_dependencies,
    register_reader,
    secured_tool_of,
)

__all__ = ["PolicyMiddleware", "ServiceUnavailableMiddleware", "UnsecuredComponent", "secure_server"]

_ERRORS: Mapping[str, type[FastMCPError]] = {
    "tools/call": ToolError,
    "resources/read": ResourceError,
    "prompts/get": PromptError,
}
_LISTS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})

_TALKATIVE = ("fastmcp.server.mixins.mcp_operations", "fastmcp.server.context.to_client", "fastmcp.server.server")
"""FastMCP's loggers that may quote arguments, messages to clients and resource addresses."""

_REPLIES = frozenset({"inputResponses", "input_responses"})
"""Where a call's next round brings the answers; the SDK reads both spellings."""

UNAVAILABLE = "security_common.unavailable"
"""The member of an ASGI scope that tells ServiceUnavailableMiddleware what became of the call."""


class UnsecuredComponent(ToolPolicyError):
    """A tool, resource or prompt does not wear `secure_tool`, or may run where it does not reach."""

    error = "unsecured_component"


def secure_server(server: FastMCP[Any], *, attainable_scopes: Collection[str] = ()) -> Mapping[str, frozenset[str]]:
    """Makes the policy hold for a whole server, once everything is registered; gives the scopes each tool declares.

    A component whose scopes the caller neither has nor may ask for (`attainable_scopes`) is left out of its lists.
    Raises UnsecuredComponent when a function wears no `secure_tool`, or may run as a background task.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:  # a loop of its own: the caller may be inside one
        tools, others = thread.submit(asyncio.run, _components(server)).result()
    for component in (*tools, *others):
        if secured_tool_of(_function(component)) is None:
            raise UnsecuredComponent(f"{component.name} has no policy", hint="decorate its function with secure_tool")
        if component.task_config.supports_tasks():
            # A worker runs it later: without the token's scopes and subject, its messages and answers past the policy.
            raise UnsecuredComponent(f"{component.name} may run in the background", hint="register it with task=False")
    server.add_middleware(PolicyMiddleware(frozenset(attainable_scopes)))
    server.add_transform(_KnownTools(tools))
    # FastMCP does not keep the schemas of a server that has a transform, and the SDK then skips its check of the
    # Mcp-Param headers. There is no public way to provide them; a test watches this one.
    schemas = {tool.name: tool.parameters for tool in tools}

    def find_schema(name: str) -> dict[str, Any] | None:
        return schemas.get(name)

    server._mcp_server.get_tool_input_schema = find_schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(mask_record)
    return {tool.name: _scopes(tool) for tool in tools if _scopes(tool)}


class _KnownTools(Transform):
    """Tools at hand by name: to ask every provider for one, in a task of its own, is a sixth of a call's work."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    async def get_tool(self, name: str, call_next: GetToolNext, *, version: VersionSpec | None = None) -> Tool | None:
        known = self._tools.get(name) if version is None else None
        return known or await call_next(name, version=version)


class PolicyMiddleware(Middleware):
    """What FastMCP must do around `secure_tool`: who speaks, what is listed, how errors read."""

    def __init__(self, attainable_scopes: frozenset[str] = frozenset()) -> None:
        self._attainable = attainable_scopes

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # Not one of the on_ hooks: their dispatch costs more than all of this.
        method = context.method or ""
        if method in _ERRORS:
            return await self._call(context, call_next, method)
        result = await call_next(context)
        return self._visible(cast("Sequence[Any]", result)) if method in _LISTS else result

    async def _call(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any], method: str) -> Any:
        # A message that is malformed comes as the dict it was: the SDK refuses it further on.
        name = getattr(context.message, "name", None) if method == "tools/call" else None
        request = context.fastmcp_context.request_context if context.fastmcp_context else None
        failure = partial(_failure, _ERRORS[method])
        adapter = FrameworkAdapter(name, _injected, failure, partial(_take_replies, request), _is_question)
        if request is not None and not isinstance(request.session, GuardedSession):
            request.session = GuardedSession(request.session, adapter)
        reset = current_adapter.set(adapter)
        try:
            result = await call_next(context)
        except _Unavailable as failure:
            raise _unavailable(request, str(failure)) from None
        except (NotFoundError, DisabledError, ValidationError) as failure:
            if adapter.call is None:
                try:
                    await _record_refusal(failure)
                except JournalUnavailable as unrecorded:
                    raise _unavailable(request, _sentence(unrecorded)) from None
            raise _told(failure, method) from None
        finally:
            current_adapter.reset(reset)
            adapter.let_go()
        if adapter.call is None:
            raise _ERRORS[method]("this component has no policy, its result was withheld")
        return result

    def _visible(self, components: Sequence[Any]) -> Sequence[Any]:
        caller = current_caller.get()
        if caller is None:
            return components
        reachable = caller.token.scopes | self._attainable
        return [each for each in components if _scopes(each) <= reachable]


class _Unavailable(ToolError):
    """The call could not be recorded, or what it works with is away: the caller may try again.

    A FastMCPError, since FastMCP lets those pass as they are.
    """


def _failure(error: type[FastMCPError], failure: Exception) -> Exception:
    """Ours read as sentences; any other error stays what it is, for FastMCP's own `mask_error_details`."""
    if isinstance(failure, SecurityError) and failure.error == JournalUnavailable.error:
        return _Unavailable(_sentence(failure))
    return error(_sentence(failure)) if isinstance(failure, SecurityError) else failure


def _unavailable(request: Any, sentence: str) -> MCPError:
    """The error of a call that cannot be answered now; the request is marked, for `ServiceUnavailableMiddleware`."""
    if request is not None and request.request is not None:
        request.request.scope.get(UNAVAILABLE, {})["call"] = True
    return MCPError(types.INTERNAL_ERROR, sentence, {"error": JournalUnavailable.error})


def _take_replies(request: Any, reply: Callable[[Any], Any]) -> None:
    """In the 2026-07-28 protocol answers come beside the arguments, and the tool reads them from its context."""
    wire = request._srctx if request is not None else None  # noqa: SLF001 - where `Context.input_responses` looks
    if wire is not None and wire.params and (names := _REPLIES & wire.params.keys()):
        wire.params = {**wire.params, **{name: reply(wire.params[name]) for name in names}}


def _is_question(result: Any) -> bool:
    return isinstance(result, types.InputRequiredResult)


class GuardedSession(ServerSession):
    """The session of one request, through which everything goes that a tool says before its result."""

    def __init__(self, session: ServerSession, adapter: FrameworkAdapter) -> None:
        self.__dict__.update(session.__dict__)
        self._adapter = adapter  # a thread or task of the tool's may have lost the context that holds the call

    async def send_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Questions (elicitation, sampling) pass the policy, and so do their answers."""
        if (call := current_call.get() or self._adapter.call) is None:
            return await super().send_request(request, *args, **kwargs)
        return call.reply(await super().send_request(call.message(request), *args, **kwargs))

    async def _notify(self, notification: Any, *, request_scoped: bool) -> None:
        if (call := current_call.get() or self._adapter.call) is not None:
            notification = call.message(notification)
        await super()._notify(notification, request_scoped=request_scoped)


class ServiceUnavailableMiddleware:
    """Pure ASGI layer: answers 503 when a call could not be recorded or served, where JSON-RPC alone would say 200."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        seen: dict[str, bool] = {}
        held: list[dict[str, Any]] = []

        async def answer(message: dict[str, Any]) -> None:
            # A stream begins before its call does: its status waits for the first event, which may be the failure.
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                held.append(message)
                return
            if held and (message.get("body") or not message.get("more_body")):
                start = held.pop()
                if seen:
                    headers = [*start.get("headers", ()), (b"retry-after", b"5")]
                    start = start | {"status": 503, "headers": headers}
                await send(start)
            if not held:
                await send(message)

        await self._app(scope | {UNAVAILABLE: seen}, receive, answer)


def mask_record(record: logging.LogRecord) -> bool:
    """A logging filter that lets every record pass, without the personal data in its text."""
    text = record.getMessage()
    masked = policy_dependencies().detector.mask_text(text)
    if masked is not text:
        record.msg, record.args = masked, ()
    return True


@lru_cache(maxsize=1024)
def _injected(function: Callable[..., Any]) -> frozenset[str]:
    """Parameters that FastMCP fills in: the context and dependencies."""
    return frozenset(get_dependency_parameters(transform_context_annotations(function)))


async def _components(server: FastMCP[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    tools = await server.list_tools(run_middleware=False)
    resources = await server.list_resources(run_middleware=False)
    templates = await server.list_resource_templates(run_middleware=False)
    prompts = await server.list_prompts(run_middleware=False)
    return tools, [*resources, *templates, *prompts]


def _function(component: Any) -> Callable[..., Any]:
    return getattr(component, "fn", component)


def _scopes(component: Any) -> frozenset[str]:
    declaration = secured_tool_of(_function(component))
    return declaration.scopes if declaration else frozenset()


def _sentence(error: SecurityError) -> str:
    return f"{error.error}: {error.description}" + (f" ({error.hint})" if error.hint else "")


def _told(failure: Exception, method: str) -> Exception:
    """An error from before the tool ran: it quotes what the client sent, so it is told again without.

    FastMCP quotes the name again in what it makes of a NotFoundError, so a name with personal data gets another error.
    """
    text = str(failure)
    if isinstance(cause := failure.__cause__, PydanticValidationError):
        found = cause.errors(include_input=False, include_url=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in found)
    told = policy_dependencies().detector.mask_text(text)
    if told == text or isinstance(failure, ValidationError):
        return type(failure)(told)
    return ToolError(told) if method == "tools/call" else MCPError(types.INVALID_PARAMS, told)


async def _record_refusal(failure: Exception) -> None:
    """A call that reached no tool is on record too; the name it gave is the client's text and is not."""
    caller = current_caller.get()
    await policy_dependencies().journal.record(
        AuditEvent(
            event_type="tool_call",
            action_taken="rejected",
            outcome=Outcome.REFUSED,
            user_id=caller.token.subject if caller else None,
            issuer=caller.token.issuer if caller else None,
            client_id=caller.token.client_id if caller else None,
            reason="invalid_arguments" if isinstance(failure, ValidationError) else "unknown_component",
            source_address=caller.source_address if caller else None,
            trace_id=caller.trace_id if caller else None,
        )
    )


@register_reader(types.ImageContent, types.AudioContent, types.BlobResourceContents)
def _binary(walk: DataWalk, value: Any, field: str | None) -> Any:
    """Base64 is walked as the bytes it stands for."""
    name = "blob" if isinstance(value, types.BlobResourceContents) else "data"
    try:
        content = base64.b64decode(getattr(value, name), validate=True)
    except ValueError:  # neither Base64 nor, perhaps, ASCII
        content = getattr(value, name)
    treated = walk.visit(content, field)
    around = value.model_copy(update={name: ""})
    rest = walk.visit_as(BaseModel, around, field)
    if treated is content and rest is around:
        return value
    encoded = base64.b64encode(treated).decode() if isinstance(treated, bytes) else treated
    return rest.model_copy(update={name: encoded})


@register_reader(Image, Audio, File)
def _media(walk: DataWalk, value: Image | Audio | File, field: str | None) -> Any:
    if isinstance(value, File):
        return walk.visit(value.to_resource_content(), field)
    return walk.visit(value.to_image_content() if isinstance(value, Image) else value.to_audio_content(), field)
