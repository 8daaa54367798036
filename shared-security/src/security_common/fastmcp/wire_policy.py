"""The outermost layer of a server: it protects and records what leaves, in the form in which it is sent.

    request ─▶ WirePolicy ─▶ FastMCP and the server's other middleware ─▶ secure_tool ─▶ the tool
                │  ▲                                                      arguments
                │  └─ result as JSON: protected, then the audit event is on disk, then it is sent
                └──── progress, log messages, requests to the client (elicitation, sampling, roots): `outbound_messages`

It is a middleware of the SDK, not of FastMCP. When it gets the result, return annotations, serializers and every other
middleware have been applied, and nothing but the SDK's encoding to JSON follows.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from fastmcp import FastMCP
from fastmcp.exceptions import DisabledError, FastMCPError, NotFoundError, to_mcp_error
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from security_common.audit import JournalUnavailable
from security_common.errors import SecurityError, describe_for_client
from security_common.fastmcp.call_errors import (
    COMPONENT_METHODS,
    CONVERTERS,
    NO_POLICY,
    TEMPORARY_ERRORS,
    log_failed_call,
    unavailable_call,
)
from security_common.fastmcp.components import ComponentTable, injected_parameters
from security_common.fastmcp.outbound_messages import protect_session
from security_common.fastmcp.unavailable import unavailable_error
from security_common.tool_policy import (
    FrameworkRequest,
    SecuredCall,
    current_framework_request,
    ends_task,
    fail_call,
    policy_dependencies,
    record_cancelled_call,
    walk_without_call,
)
from security_common.tool_policy.mcp_messages import SERVER_INFO, protect_parameters, protect_result
from security_common.tool_policy.output_schemas import loosen_listed_schemas

__all__ = ["KNOWN_METHODS", "WirePolicy"]

STATIC_METHODS = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        "tools/list",
    }
)
"""Methods whose results are definitions of the server or empty, and have no data of a tool."""

KNOWN_METHODS = STATIC_METHODS | COMPONENT_METHODS
"""The request methods that the policy covers. A server with a handler for any other method is refused."""

INTERNAL_ERROR_MESSAGE = "Internal server error"

ERRORS_FOR_CLIENTS = (MCPError, FastMCPError, NotFoundError, DisabledError, ValidationError)
"""Errors that are meant for the client. `PolicyMiddleware` logs those of components."""

Context = ServerRequestContext[Any, Any]

logger = logging.getLogger(__name__)


class WirePolicy:
    """SDK middleware that applies the policies of a server's components to everything that the server sends."""

    def __init__(self, server: FastMCP[Any], components: ComponentTable) -> None:
        self._server = server
        self._components = components

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None:
            await self._handle_notification(ctx, call_next)
            return None
        self._require_outermost_position()
        if ctx.method in COMPONENT_METHODS:
            return await self._call_component(ctx, call_next)
        return await self._answer_from_definitions(ctx, call_next)

    async def _call_component(self, ctx: Context, call_next: CallNext) -> dict[str, Any]:
        params = ctx.params or {}
        framework_request = FrameworkRequest(
            # The parameters may be malformed; the SDK refuses them later.
            tool_name=params.get("name") if ctx.method == "tools/call" else None,
            components=self._components.reachable(ctx.method, params),
            injected_parameters=injected_parameters,
            convert_exception=CONVERTERS[ctx.method],
        )
        protect_session(ctx.session, framework_request)
        reset = current_framework_request.set(framework_request)
        try:
            try:
                result = _to_json_object(await call_next(ctx))
            except BaseException as failure:
                if ends_task(failure):
                    raise
                raise await self._finish_failed_request(ctx, framework_request, failure) from None
            return await self._finish_request(ctx, framework_request, result)
        except asyncio.CancelledError:
            # The client has ended the request, perhaps while its result was searched.
            if not framework_request.recording_began:
                _record_cancelled_calls(framework_request)
            raise
        finally:
            current_framework_request.reset(reset)
            framework_request.release_references()

    async def _finish_request(
        self, ctx: Context, framework_request: FrameworkRequest, result: dict[str, Any]
    ) -> dict[str, Any]:
        """The result as it may be sent, once the audit event is on disk."""
        calls = framework_request.component_calls or await self._calls_of_late_component(ctx, framework_request)
        if not calls:
            # An error that occurred before the component ran contains no result.
            if result.get("isError") is True:
                return protect_result(walk_without_call(policy_dependencies()), result)
            return self._withhold(ctx, result, NO_POLICY)
        failure: Exception | None = None
        protected: dict[str, Any] = {}
        try:
            protected = await _protect_with_each_policy(ctx, calls, result)
        except Exception as error:  # noqa: BLE001 - a result that cannot be protected is not sent
            await fail_call(calls[-1], error)
            failure = error
        await self._record(ctx, framework_request)
        if failure is None:
            return protected
        log_failed_call(framework_request, ctx.method, failure)
        if isinstance(failure, SecurityError) and failure.error in TEMPORARY_ERRORS:
            raise unavailable_error(ctx, describe_for_client(failure), failure.error)
        return self._withhold(ctx, result, _describe_failure(failure))

    async def _finish_failed_request(
        self, ctx: Context, framework_request: FrameworkRequest, failure: BaseException
    ) -> MCPError:
        """The error as it may be sent, once the audit event is on disk."""
        calls = framework_request.component_calls
        is_logged = isinstance(failure, ERRORS_FOR_CLIENTS) or any(call.has_failed for call in calls)
        if not is_logged:
            log_failed_call(framework_request, ctx.method, failure)
        if calls and not calls[-1].has_failed:
            await fail_call(calls[-1], failure)
        error = await _to_wire_error(failure, framework_request.call)
        await self._record(ctx, framework_request)
        return error

    async def _calls_of_late_component(
        self, ctx: Context, framework_request: FrameworkRequest
    ) -> Sequence[SecuredCall]:
        """The calls of a component that was registered after the server was secured.

        They are already recorded, like calls of plain functions.
        """
        if not framework_request.calls:
            return []
        tool = await self._components.find_late(ctx.method, ctx.params or {})
        return [call for call in framework_request.calls if call.tool is tool]

    async def _record(self, ctx: Context, framework_request: FrameworkRequest) -> None:
        """Records every call of a component. Raises the error that is answered with HTTP status 503."""
        framework_request.recording_began = True
        try:
            journal = policy_dependencies().journal
            for call in framework_request.component_calls:
                event = call.audit_event()
                if event is not None:
                    await journal.record(event)
        except JournalUnavailable as unrecorded:
            error = unavailable_call(unrecorded)
            log_failed_call(framework_request, ctx.method, error)
            raise unavailable_error(ctx, str(error), error.code) from None

    @staticmethod
    def _withhold(ctx: Context, result: Mapping[str, Any], message: str) -> dict[str, Any]:
        """An error result of a tool in place of `result`. Raises MCPError for other components."""
        if ctx.method != "tools/call":
            raise MCPError(types.INTERNAL_ERROR, message)
        return _error_result(result, message)

    async def _answer_from_definitions(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        handler = self._server._mcp_server.get_request_handler(ctx.method)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if ctx.method not in STATIC_METHODS and handler is not None:
            raise MCPError(types.INTERNAL_ERROR, f"the method {ctx.method} has no policy, so it is not served")
        protect_session(ctx.session, None)
        try:
            result = await call_next(ctx)
        except BaseException as failure:
            if ends_task(failure):
                raise
            raise await _to_wire_error(failure, None) from None
        if ctx.method != "tools/list":
            return result
        configuration = policy_dependencies().detector.configuration
        return loosen_listed_schemas(_to_json_object(result), self._components.secured_tool_of_name, configuration)

    async def _handle_notification(self, ctx: Context, call_next: CallNext) -> None:
        protect_session(ctx.session, None)
        try:
            await call_next(ctx)
        except BaseException as failure:
            if ends_task(failure):
                raise
            logger.error("notification_failed method=%s cause=%s", ctx.method, type(failure).__name__)  # noqa: TRY400 - the traceback may quote personal data

    def _require_outermost_position(self) -> None:
        """Raises MCPError if another middleware of the SDK could change what this one has protected."""
        if self._server._mcp_server.middleware[0] is not self:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            raise MCPError(types.INTERNAL_ERROR, "a middleware was added outside of the policy, so nothing is served")


def _to_json_object(result: HandlerResult) -> dict[str, Any]:
    """The result as the SDK would write it. Middleware may return a model in place of its JSON form."""
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return result or {}


async def _protect_with_each_policy(
    ctx: Context, calls: Sequence[SecuredCall], result: dict[str, Any]
) -> dict[str, Any]:
    """The result, protected by the policy of each component that ran; usually there is one, and it ran once."""
    requested_uri = (ctx.params or {}).get("uri")
    latest_calls = {call.tool: call for call in calls}
    for call in latest_calls.values():
        result = await call.run(call.protect_wire_result, result, requested_uri)
    return result


def _error_result(result: Mapping[str, Any], message: str) -> dict[str, Any]:
    """The result of a tool that reports an error, with those members of `result` that are not data of the tool."""
    error: dict[str, Any] = {"content": [{"type": "text", "text": message}], "isError": True}
    if "resultType" in result:
        error["resultType"] = "complete"
    metadata: dict[str, Any] = result.get("_meta") or {}
    if SERVER_INFO in metadata:
        error["_meta"] = {SERVER_INFO: metadata[SERVER_INFO]}
    return error


def _describe_failure(failure: Exception) -> str:
    return describe_for_client(failure) if isinstance(failure, SecurityError) else INTERNAL_ERROR_MESSAGE


async def _to_wire_error(failure: BaseException, call: SecuredCall | None) -> MCPError:
    """The error as it may be sent: message and data follow the policy of the call, or are masked if there is none.

    Neither the message nor the data of an exception that is not meant for clients is sent. Without this rule, the SDK
    would send its text.
    """
    if isinstance(failure, ValidationError):
        return MCPError(types.INVALID_PARAMS, "Invalid request parameters", "")
    if not isinstance(failure, ERRORS_FOR_CLIENTS):
        return MCPError(types.INTERNAL_ERROR, INTERNAL_ERROR_MESSAGE)
    error = to_mcp_error(failure).error
    try:
        parts = to_jsonable_python({"message": error.message, "data": error.data})
        if call is None:
            protected = protect_parameters(walk_without_call(policy_dependencies()), parts)
        else:
            protected = await call.run(call.protect_message, parts)
    except Exception:  # noqa: BLE001 - an error that cannot be searched is sent without its text
        return MCPError(error.code, INTERNAL_ERROR_MESSAGE)
    return MCPError(error.code, protected["message"], protected["data"])


def _record_cancelled_calls(framework_request: FrameworkRequest) -> None:
    journal = policy_dependencies().journal
    for call in framework_request.component_calls:
        if not call.has_failed:
            call.cancel()
        record_cancelled_call(journal, call.audit_event())
