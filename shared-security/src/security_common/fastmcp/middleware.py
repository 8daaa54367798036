"""What happens around `secure_tool` on a FastMCP server: messages to the client, errors, and lists by scope."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import mcp_types as types
from fastmcp.exceptions import DisabledError, NotFoundError, ValidationError
from fastmcp.server.dependencies import (
    get_dependency_parameters,  # pyright: ignore[reportPrivateImportUsage] - the function FastMCP itself uses
    transform_context_annotations,
)
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.server.session import ServerSession

from security_common.audit import JournalUnavailable
from security_common.fastmcp.call_errors import (
    ERROR_TYPES,
    client_error,
    describe,
    log_failed_call,
    record_rejected_call,
    without_client_values,
)
from security_common.fastmcp.unavailable import CallUnavailable, unavailable_error
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import FrameworkAdapter, SecuredTool, current_adapter, current_call, secured_tool_of

__all__ = ["PolicyMiddleware", "ProtectedSession", "secured_component"]

LIST_METHODS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})

INPUT_RESPONSES = frozenset({"inputResponses", "input_responses"})
"""The member of a 2026-07-28 call that contains the client's answers to questions. The SDK reads both spellings."""


class PolicyMiddleware(Middleware):
    """Prepares each call for `secure_tool`, converts its errors to responses, and filters lists by scope."""

    def __init__(self, attainable_scopes: Collection[str] = ()) -> None:
        """`attainable_scopes` are those that a user can still consent to. Components that need them are listed."""
        self._attainable_scopes = frozenset(attainable_scopes)

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # Not one of FastMCP's `on_` hooks: dispatching to them costs more CPU time than this whole middleware.
        method = context.method or ""
        if method in ERROR_TYPES:
            return await self._call_component(context, call_next, method)
        result = await call_next(context)
        return self._filter_by_scope(cast("Sequence[Any]", result)) if method in LIST_METHODS else result

    async def _call_component(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any], method: str) -> Any:
        request = context.fastmcp_context.request_context if context.fastmcp_context else None
        adapter = FrameworkAdapter(
            # The message is a dict if it is malformed; the SDK refuses it later.
            tool_name=getattr(context.message, "name", None) if method == "tools/call" else None,
            injected_parameters=_injected_parameters,
            convert_exception=partial(client_error, ERROR_TYPES[method]),
            protect_replies=partial(_protect_input_responses, request),
            asks_client=_asks_client,
        )
        if request is not None and not isinstance(request.session, ProtectedSession):
            request.session = ProtectedSession(request.session, adapter)
        reset = current_adapter.set(adapter)
        try:
            result = await call_next(context)
        except CallUnavailable as failure:
            log_failed_call(adapter, method, failure)
            raise unavailable_error(request, str(failure), failure.code) from None
        except (NotFoundError, DisabledError, ValidationError) as failure:
            error = without_client_values(failure, method)
            log_failed_call(adapter, method, failure)
            if adapter.call is None:
                await _record_or_answer_503(failure, request)
            raise error from None
        except Exception as failure:
            log_failed_call(adapter, method, failure)
            raise
        finally:
            current_adapter.reset(reset)
            adapter.release_references()
        if adapter.call is None:
            raise ERROR_TYPES[method]("this component has no policy, so its result was withheld")
        return result

    def _filter_by_scope(self, components: Sequence[Any]) -> Sequence[Any]:
        caller = current_caller.get()
        if caller is None:
            return components
        scopes = caller.token.scopes | self._attainable_scopes
        return [each for each in components if _always_required_scopes(each) <= scopes]


class ProtectedSession(ServerSession):
    """The session of one request. Everything that a tool sends before its result passes the policy here."""

    def __init__(self, session: ServerSession, adapter: FrameworkAdapter) -> None:
        self.__dict__.update(session.__dict__)
        # A thread or task that the tool started may not have the context variable of the call.
        self._adapter = adapter

    async def send_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends a question (elicitation, sampling) and returns its answer, both protected."""
        call = current_call.get() or self._adapter.call
        if call is None:
            return await super().send_request(request, *args, **kwargs)
        protected = await call.search(call.protect_message, request)
        answer = await super().send_request(protected, *args, **kwargs)
        return await call.search(call.protect_reply, answer)

    async def _notify(self, notification: Any, *, request_scoped: bool) -> None:
        call = current_call.get() or self._adapter.call
        if call is not None:
            notification = await call.search(call.protect_message, notification)
        await super()._notify(notification, request_scoped=request_scoped)


def secured_component(component: Any) -> SecuredTool | None:
    """What `secure_tool` was given for the function of a tool, resource, template or prompt."""
    function: Callable[..., Any] = getattr(component, "fn", component)
    return secured_tool_of(function)


def _always_required_scopes(component: Any) -> frozenset[str]:
    secured = secured_component(component)
    return secured.scopes.always if secured else frozenset()


async def _record_or_answer_503(failure: Exception, request: Any) -> None:
    try:
        await record_rejected_call(failure)
    except JournalUnavailable as unrecorded:
        raise unavailable_error(request, describe(unrecorded), unrecorded.error) from None


def _protect_input_responses(request: Any, protect: Callable[[Any], Any]) -> None:
    """Protects the answers that a 2026-07-28 call brings beside its arguments. The tool reads them from its context."""
    wire_request = request._srctx if request is not None else None  # noqa: SLF001 - `Context.input_responses` reads it
    if wire_request is None or not wire_request.params:
        return
    params: Mapping[str, Any] = wire_request.params
    answers = {name: protect(params[name]) for name in INPUT_RESPONSES & params.keys()}
    if answers:
        wire_request.params = {**params, **answers}


def _asks_client(result: Any) -> bool:
    return isinstance(result, types.InputRequiredResult)


@lru_cache(maxsize=1024)
def _injected_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The parameters that FastMCP fills in: its context and dependencies."""
    return frozenset(get_dependency_parameters(transform_context_annotations(function)))
