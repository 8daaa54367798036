"""One call of a component of an upstream, from its arguments to its answer.

arguments ─▶ policy ─▶ upstream ─▶ result, or a question to the user ─▶ policy ─▶ audit event on disk ─▶ answer
                          └ progress, log messages: RelayedNotifications
"""

import asyncio
import traceback
from collections.abc import Mapping
from typing import Any

import structlog

from gateway_service.relay.call_records import CallRecords, CallUnavailable
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.component_calls import ComponentCall, TranslatedError
from gateway_service.relay.input_requests import InputRequestNotRelayed, InputRequests, InvalidInputResponses
from gateway_service.relay.relayed_notifications import RelayedNotifications, requested_log_level
from gateway_service.relay.upstream_results import InvalidResult
from gateway_service.upstreams import Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamError, UpstreamFailure, UpstreamProtocolViolation
from gateway_service.upstreams.server_description import ProtocolEra
from gateway_service.wire.json_rpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CLIENT_CAPABILITY,
    RpcError,
    is_reserved_code,
)
from gateway_service.wire.versions import LOG_LEVEL
from security_common.audit import JournalUnavailable, Outcome, Reason
from security_common.errors import SecurityError, describe, describe_for_client
from security_common.tool_policy import SearchQueueFull, SecuredCall, fail_call, owner_of
from security_common.tool_policy.mcp_messages import is_input_request
from security_common.tool_policy.policy_dependencies import PolicyDependencies

__all__ = ["RelayedCalls"]

_TEMPORARY = (JournalUnavailable, SearchQueueFull)

log = structlog.get_logger("gateway_service")


class RelayedCalls:
    """Runs calls of components of upstreams under their rules."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        *,
        dependencies: PolicyDependencies,
        records: CallRecords,
        input_requests: InputRequests,
    ) -> None:
        self._upstreams = upstreams
        self._dependencies = dependencies
        self._records = records
        self._input_requests = input_requests

    async def run(self, component: ComponentCall, client: ClientRequest) -> dict[str, Any]:
        """The result for the client, once the call is recorded. Raises `RpcError` and `CallUnavailable`."""
        call = SecuredCall(component.secured, self._dependencies)
        try:
            result = await self._run(call, component, client)
        except asyncio.CancelledError:
            self._records.record_cancelled(call)
            raise
        await self._records.record(call)  # a client that leaves now does not change how the call has ended
        return self._answer_failure(component, result) if isinstance(result, Exception) else result

    async def _run(
        self, call: SecuredCall, component: ComponentCall, client: ClientRequest
    ) -> dict[str, Any] | Exception:
        """The result as it may be sent, or what the call has failed with."""
        try:
            return await self._execute(call, component, client)
        except UpstreamError as error:
            await fail_call(call, error)
            return await self._translate(call, error, component, client)
        except Exception as error:  # noqa: BLE001 - what failed is not sent
            await fail_call(call, error)
            return error

    async def _execute(self, call: SecuredCall, component: ComponentCall, client: ClientRequest) -> dict[str, Any]:
        """The result as it may be sent."""
        refusal = component.find_refusal()
        if refusal is not None:
            raise refusal
        upstream = self._upstreams[component.upstream]
        _, passed = await call.run(call.protect_arguments, (), component.arguments)
        call.annotate(component.data_subject(passed), component.task)
        inputs = self._input_requests.of_call(component, client, upstream.declaration)
        params = component.parameters(passed)
        responses = await inputs.responses(call)
        if upstream.era is not ProtocolEra.HANDSHAKE:  # an older server cannot have asked
            params |= responses
        level = requested_log_level(client)
        request = UpstreamCall(
            method=component.method,
            params=params,
            owner=owner_of(client.caller.token.issuer, client.caller.token.subject),
            named=component.named,
            headers=component.headers(passed),
            trace_id=client.caller.trace_id,
            on_notification=RelayedNotifications.of(call, client),
            capabilities=inputs.capabilities,
            metadata={LOG_LEVEL: level} if level is not None and client.stream is not None else {},
        )
        with call:
            answer = await upstream.call(request)
        try:
            if is_input_request(answer):
                return await inputs.relay(call, answer)
            members = component.read_result(answer)
        except InvalidResult as failure:
            raise UpstreamProtocolViolation.by(component.upstream, str(failure)) from None
        result = await call.run(call.protect_wire_result, members, component.requested_uri)
        if members.get("isError") is True:
            call.outcome, call.reason = Outcome.FAILURE, Reason.TOOL_ERROR
        return result

    async def _translate(
        self, call: SecuredCall, failure: UpstreamError, component: ComponentCall, client: ClientRequest
    ) -> TranslatedError | UpstreamFailure:
        """The error of an upstream as it may be sent. A code that the protocol reserves becomes an internal error.

        An upstream that cannot work without input of the user answers with a reserved code. A client that could be
        asked gets that code.
        """
        if failure.code == MISSING_CLIENT_CAPABILITY:
            inputs = self._input_requests.of_call(component, client, self._upstreams[component.upstream].declaration)
            if inputs.are_limited or not client.is_stateless:
                return InputRequestNotRelayed.by(component.upstream, is_stateless=client.is_stateless)
        is_reserved = is_reserved_code(failure.code) and failure.code != MISSING_CLIENT_CAPABILITY
        code = INTERNAL_ERROR if is_reserved else component.error_code(failure.code, is_stateless=client.is_stateless)
        try:
            parts = await call.run(call.protect_message, {"message": failure.message, "data": failure.data})
        except Exception:  # noqa: BLE001 - an error that cannot be searched is sent without its text
            return TranslatedError(code, failure.description)
        return TranslatedError(code, parts["message"], parts["data"])

    @staticmethod
    def _answer_failure(component: ComponentCall, failure: Exception) -> dict[str, Any]:
        """The result that reports the failure. Raises `RpcError`, and `CallUnavailable` for a temporary one."""
        if isinstance(failure, RpcError):
            raise failure
        if isinstance(failure, _TEMPORARY):
            raise CallUnavailable(failure) from failure
        name = component.secured.name
        if isinstance(failure, SecurityError):
            log.warning("call_failed", tool=name, reason=failure.error, cause=describe(failure))
            if isinstance(failure, InvalidInputResponses):
                raise RpcError(INVALID_PARAMS, describe_for_client(failure)) from failure
            return component.refusal(failure)
        # The text of the exception is not logged: it may quote data of the call.
        lines = "".join(traceback.format_tb(failure.__traceback__))
        log.error("call_failed", tool=name, cause=type(failure).__name__, traceback=lines)
        return component.refusal(SecurityError("the gateway failed", hint="its log says why"))
