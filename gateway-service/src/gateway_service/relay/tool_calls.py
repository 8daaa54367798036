"""One tool call from its arguments to its answer. The audit event is on disk before the answer is returned."""

import asyncio
import traceback
from collections.abc import Mapping
from typing import Any, cast

import structlog

from gateway_service.catalogue import Address, Catalogue, GatewayTool
from gateway_service.catalogue.catalogue import ALL
from gateway_service.relay.upstream_results import InvalidResult, read_tool_result, refusal_result
from gateway_service.upstreams import Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamError, UpstreamProtocolViolation, UpstreamUnavailable
from gateway_service.wire.json_rpc import INTERNAL_ERROR, INVALID_PARAMS, Request, RpcError, is_reserved_code
from gateway_service.wire.parameter_headers import require_equal_headers, write_parameter_headers
from security_common.audit import Action, AuditEvent, EventType, Journal, JournalUnavailable, Outcome, Reason
from security_common.edge import RequestHeaders
from security_common.errors import SecurityError, describe, describe_for_client
from security_common.tokens import Caller
from security_common.tool_policy import SearchQueueFull, SecuredCall, fail_call, owner_of, record_cancelled_call
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_policy.policy_dependencies import PolicyDependencies

__all__ = ["CallUnavailable", "ToolCalls", "TranslatedError"]

_TEMPORARY = (JournalUnavailable, SearchQueueFull)
# A question to the user cannot be asked through the gateway, so there is no answer to one.
_NOT_RELAYED = frozenset({"inputResponses", "requestState"})

log = structlog.get_logger("gateway_service")


class CallUnavailable(Exception):
    """The gateway itself cannot serve the call now. It is answered with HTTP status 503, and the cause is logged."""

    def __init__(self, cause: SecurityError) -> None:
        super().__init__(cause.error)
        self.error = RpcError(INTERNAL_ERROR, describe_for_client(cause), {"error": cause.error})
        log.error("call_unavailable", cause=describe(cause))


class TranslatedError(RpcError):
    """The JSON-RPC error of an upstream, in the form in which it may be sent."""


class ToolCalls:
    """Calls tools of upstreams under their rules."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        catalogue: Catalogue,
        *,
        dependencies: PolicyDependencies,
        journal: Journal,
    ) -> None:
        self._upstreams = upstreams
        self._catalogue = catalogue
        self._dependencies = dependencies
        self._journal = journal

    async def call(
        self, address: Address, request: Request, headers: RequestHeaders, caller: Caller, *, is_stateless: bool
    ) -> dict[str, Any]:
        """The result for the client. Raises `RpcError` and `CallUnavailable`; the call is recorded then as well."""
        name, arguments = request.params.get("name"), request.params.get("arguments", {})
        tool = address.tools.get(name) if isinstance(name, str) else None
        if tool is None:
            return await self._answer_unknown(address, name, caller)
        if not isinstance(arguments, dict) or not _NOT_RELAYED.isdisjoint(request.params):
            await self._record_rejected(caller, Reason.INVALID_ARGUMENTS)
            raise RpcError(INVALID_PARAMS, "the arguments must be an object, and answers to questions are not relayed")
        arguments = cast("dict[str, Any]", arguments)
        if is_stateless:
            require_equal_headers(tool.parameter_headers, arguments, headers)
        call = SecuredCall(tool.secured, self._dependencies)
        try:
            return await self._run(call, tool, arguments, caller)
        except asyncio.CancelledError:
            call.cancel()
            record_cancelled_call(self._journal, call.audit_event())
            raise

    async def _run(
        self, call: SecuredCall, tool: GatewayTool, arguments: dict[str, Any], caller: Caller
    ) -> dict[str, Any]:
        """The result for the client, once the call is recorded."""
        result: dict[str, Any] = {}
        failure: Exception | None = None
        try:
            result = await self._execute(call, tool, arguments, caller)
        except UpstreamError as error:
            await fail_call(call, error)
            failure = await self._translate(call, error)
        except Exception as error:  # noqa: BLE001 - what failed is not sent
            await fail_call(call, error)
            failure = error
        await self._record(call)
        return result if failure is None else self._answer_failure(tool, failure)

    async def _execute(
        self, call: SecuredCall, tool: GatewayTool, arguments: dict[str, Any], caller: Caller
    ) -> dict[str, Any]:
        """The result as it may be sent."""
        _, passed = await call.run(call.protect_arguments, (), arguments)
        if tool.rule.subject is not None or tool.rule.task is not None:
            # A placeholder differs each time, so the person is recorded by the value that it replaces.
            named = passed if tool.rule.arguments is PIIPolicy.TOKENIZE else arguments
            call.annotate(_text_of(named.get(tool.rule.subject or "")), tool.rule.task)
        request = UpstreamCall(
            method="tools/call",
            params={"name": tool.name, "arguments": passed},
            owner=owner_of(caller.token.issuer, caller.token.subject),
            named=tool.name,
            headers=write_parameter_headers(tool.parameter_headers, passed),
            trace_id=caller.trace_id,
        )
        with call:
            answer = await self._upstreams[tool.upstream].call(request)
        try:
            members = read_tool_result(answer)
        except InvalidResult as failure:
            raise UpstreamProtocolViolation(
                f"{tool.upstream} {failure}", hint="its operator has to correct it"
            ) from None
        result = await call.run(call.protect_wire_result, members)
        if members.get("isError") is True:
            call.outcome, call.reason = Outcome.FAILURE, Reason.TOOL_ERROR
        return result

    async def _translate(self, call: SecuredCall, failure: UpstreamError) -> TranslatedError:
        """The error of an upstream as it may be sent. A code that the protocol reserves becomes an internal error."""
        code = INTERNAL_ERROR if is_reserved_code(failure.code) else failure.code
        try:
            parts = await call.run(call.protect_message, {"message": failure.message, "data": failure.data})
        except Exception:  # noqa: BLE001 - an error that cannot be searched is sent without its text
            return TranslatedError(code, failure.description)
        return TranslatedError(code, parts["message"], parts["data"])

    @staticmethod
    def _answer_failure(tool: GatewayTool, failure: Exception) -> dict[str, Any]:
        """The result that reports the failure. Raises `TranslatedError`, and `CallUnavailable` for a temporary one."""
        if isinstance(failure, TranslatedError):
            raise failure
        if isinstance(failure, _TEMPORARY):
            raise CallUnavailable(failure) from failure
        if isinstance(failure, SecurityError):
            log.warning("call_failed", tool=tool.qualified_name, reason=failure.error, cause=describe(failure))
            return refusal_result(failure)
        # The text of the exception is not logged: it may quote data of the call.
        lines = "".join(traceback.format_tb(failure.__traceback__))
        log.error("call_failed", tool=tool.qualified_name, cause=type(failure).__name__, traceback=lines)
        return refusal_result(SecurityError("the gateway failed", hint="its log says why"))

    async def _answer_unknown(self, address: Address, name: Any, caller: Caller) -> dict[str, Any]:
        """The same answer for a tool that does not exist, that no rule names, and that the upstream has removed."""
        waited_for = self._undescribed_upstream(address, name)
        if waited_for is None:
            await self._record_rejected(caller, Reason.UNKNOWN_COMPONENT)
            raise RpcError(INVALID_PARAMS, "Unknown tool: the list of tools has those that can be called")
        await self._record_rejected(caller, Reason.UPSTREAM_UNAVAILABLE, outcome=Outcome.FAILURE)
        return refusal_result(UpstreamUnavailable.named(waited_for))

    def _undescribed_upstream(self, address: Address, name: Any) -> str | None:
        """The upstream that may have the tool, but has not been reached since the gateway was started."""
        for upstream in address.upstreams:
            may_have_it = address.name != ALL or (isinstance(name, str) and name.startswith(f"{upstream}_"))
            if may_have_it and not self._catalogue.is_described(upstream):
                return upstream
        return None

    async def _record(self, call: SecuredCall) -> None:
        event = call.audit_event()
        if event is not None:
            await self._write(event)

    async def _record_rejected(self, caller: Caller, reason: Reason, *, outcome: Outcome = Outcome.REFUSED) -> None:
        """Records a call that reached no tool. Its name is text of the client and is not recorded."""
        await self._write(
            AuditEvent(
                event_type=EventType.TOOL_CALL,
                action_taken=Action.REJECTED,
                outcome=outcome,
                user_id=caller.token.subject,
                issuer=caller.token.issuer,
                client_id=caller.token.client_id,
                reason=reason,
                source_address=caller.source_address,
                trace_id=caller.trace_id,
            )
        )

    async def _write(self, event: AuditEvent) -> None:
        try:
            await self._journal.record(event)
        except JournalUnavailable as failure:
            raise CallUnavailable(failure) from failure


def _text_of(value: Any) -> str | None:
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_id else None
