"""What happens around `secure_tool` inside FastMCP: failures are logged and converted, and lists filtered by scope."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast

from fastmcp.exceptions import DisabledError, NotFoundError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from security_common.audit import JournalUnavailable
from security_common.fastmcp.call_errors import (
    COMPONENT_METHODS,
    CONVERTERS,
    ERROR_TYPES,
    NO_POLICY,
    log_failed_call,
    record_rejected_call,
    unavailable_call,
    without_client_values,
)
from security_common.fastmcp.components import injected_parameters, secured_component
from security_common.fastmcp.unavailable import CallUnavailable, unavailable_error
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import FrameworkRequest, current_framework_request

__all__ = ["PolicyMiddleware"]

LIST_METHODS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})

INPUT_RESPONSES = frozenset({"inputResponses", "input_responses"})
"""The member of a 2026-07-28 call with the client's responses to requests to the client (elicitation, sampling, roots).

The SDK reads both spellings.
"""


class PolicyMiddleware(Middleware):
    """FastMCP middleware that logs and converts the failures of calls, and filters lists by scope."""

    def __init__(self, attainable_scopes: Collection[str] = ()) -> None:
        """`attainable_scopes` are those that a user can still consent to. Components that need them are listed."""
        self._attainable_scopes = frozenset(attainable_scopes)

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # Not one of FastMCP's `on_` hooks: dispatching to them costs more CPU time than this whole middleware.
        method = context.method or ""
        if method in COMPONENT_METHODS:
            return await self._call_component(context, call_next, method)
        result = await call_next(context)
        return self._filter_by_scope(cast("Sequence[Any]", result)) if method in LIST_METHODS else result

    async def _call_component(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any], method: str) -> Any:
        request_context = context.fastmcp_context.request_context if context.fastmcp_context else None
        framework_request = current_framework_request.get()
        if framework_request is not None:
            framework_request.protect_client_responses = partial(_protect_input_responses, request_context)
            return await _run_component(framework_request, context, call_next, method, request_context)
        # The program itself runs the component, without a client: nothing is serialized and sent.
        framework_request = FrameworkRequest(
            tool_name=getattr(context.message, "name", None) if method == "tools/call" else None,
            components=(),
            injected_parameters=injected_parameters,
            convert_exception=CONVERTERS[method],
            protect_client_responses=partial(_protect_input_responses, request_context),
        )
        reset = current_framework_request.set(framework_request)
        try:
            result = await _run_component(framework_request, context, call_next, method, request_context)
        finally:
            current_framework_request.reset(reset)
            framework_request.release_references()
        if framework_request.call is None:
            raise ERROR_TYPES[method](NO_POLICY)
        return result

    def _filter_by_scope(self, components: Sequence[Any]) -> Sequence[Any]:
        caller = current_caller.get()
        if caller is None:
            return components
        scopes = caller.token.scopes | self._attainable_scopes
        return [each for each in components if _always_required_scopes(each) <= scopes]


async def _run_component(
    framework_request: FrameworkRequest,
    context: MiddlewareContext[Any],
    call_next: CallNext[Any, Any],
    method: str,
    request_context: Any,
) -> Any:
    """Runs a component. Logs each failure, and records calls of unknown components and with invalid arguments."""
    try:
        return await call_next(context)
    except CallUnavailable as failure:
        log_failed_call(framework_request, method, failure)
        raise unavailable_error(request_context, str(failure), failure.code) from None
    except (NotFoundError, DisabledError, ValidationError) as failure:
        error = without_client_values(failure, method)
        log_failed_call(framework_request, method, failure)
        if framework_request.call is None:
            await _record_or_answer_503(framework_request, method, failure, request_context)
        raise error from None
    except Exception as failure:
        log_failed_call(framework_request, method, failure)
        raise


def _always_required_scopes(component: Any) -> frozenset[str]:
    secured = secured_component(component)
    return secured.scopes.always if secured else frozenset()


async def _record_or_answer_503(
    framework_request: FrameworkRequest, method: str, failure: Exception, request_context: Any
) -> None:
    try:
        await record_rejected_call(failure)
    except JournalUnavailable as unrecorded:
        error = unavailable_call(unrecorded)
        log_failed_call(framework_request, method, error)
        raise unavailable_error(request_context, str(error), error.code) from None


def _protect_input_responses(request_context: Any, protect: Callable[[Any], Any]) -> None:
    """Protects the client's responses that a 2026-07-28 call carries in addition to its arguments.

    The tool reads them from its context.
    """
    wire_request = request_context._srctx if request_context is not None else None  # noqa: SLF001 - `Context.input_responses` reads it
    if wire_request is None or not wire_request.params:
        return
    params: Mapping[str, Any] = wire_request.params
    responses = {name: protect(params[name]) for name in INPUT_RESPONSES & params.keys()}
    if responses:
        wire_request.params = {**params, **responses}
