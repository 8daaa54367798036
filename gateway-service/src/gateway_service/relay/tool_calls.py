"""Calls of tools: finds the tool, compares the headers of its parameters, and runs the call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from gateway_service.catalogue import Address, Catalogue, GatewayTool
from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.definition_changes import ToolDefinitionChanged
from gateway_service.relay.call_records import CallRecords
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.component_calls import ComponentCall
from gateway_service.relay.relayed_calls import RelayedCalls
from gateway_service.relay.upstream_results import read_tool_result, refusal_result
from gateway_service.upstreams.errors import UpstreamUnavailable
from gateway_service.wire.json_rpc import INVALID_PARAMS, RpcError
from gateway_service.wire.parameter_headers import require_equal_headers, write_parameter_headers
from security_common.audit import Outcome, Reason
from security_common.errors import SecurityError
from security_common.tool_policy import ToolPolicyError
from security_common.tool_policy.policy import PIIPolicy

__all__ = ["ToolCall", "ToolCalls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall(ComponentCall):
    """A call of one tool. `has_changed` is whether its definition differs from the approved one."""

    method: ClassVar[str] = "tools/call"

    tool: GatewayTool = field(repr=False)
    has_changed: bool = False

    def find_refusal(self) -> ToolPolicyError | None:
        return ToolDefinitionChanged.of(self.upstream) if self.has_changed else None

    def parameters(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": self.tool.name, "arguments": passed}

    def headers(self, passed: Mapping[str, Any]) -> Mapping[str, str]:
        return write_parameter_headers(self.tool.parameter_headers, passed)

    def data_subject(self, passed: Mapping[str, Any]) -> str | None:
        rule = self.tool.rule
        if rule.subject is None:
            return None
        # A placeholder differs each time, so the person is recorded by the value that it replaces.
        arguments = passed if rule.arguments is PIIPolicy.TOKENIZE else self.arguments
        return _text_of(arguments.get(rule.subject))

    def read_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return read_tool_result(result)

    def refusal(self, failure: SecurityError) -> dict[str, Any]:
        return refusal_result(failure)


class ToolCalls:
    """Calls tools of upstreams under their rules."""

    def __init__(self, calls: RelayedCalls, catalogue: Catalogue, records: CallRecords) -> None:
        self._calls = calls
        self._catalogue = catalogue
        self._records = records

    async def call(self, address: Address, client: ClientRequest) -> dict[str, Any]:
        """The result for the client. Raises `RpcError` and `CallUnavailable`; the call is recorded then as well."""
        params = client.message.params
        name, arguments = params.get("name"), params.get("arguments", {})
        tool = address.tools.get(name) if isinstance(name, str) else None
        if tool is None:
            return await self._answer_unknown(address, name, client)
        if not isinstance(arguments, dict):
            await self._record_malformed(tool, client)
            raise RpcError(INVALID_PARAMS, "the arguments must be an object")
        arguments = cast("dict[str, Any]", arguments)
        if client.is_stateless:
            try:
                require_equal_headers(tool.parameter_headers, arguments, client.headers)
            except RpcError:
                await self._record_malformed(tool, client)
                raise
        call = ToolCall(
            upstream=tool.upstream,
            secured=tool.secured,
            arguments=arguments,
            named=tool.name,
            task=tool.rule.task,
            tool=tool,
            has_changed=self._catalogue.refuses(tool),
        )
        return await self._calls.run(call, client)

    async def _record_malformed(self, tool: GatewayTool, client: ClientRequest) -> None:
        await self._records.record_rejected(client.caller, Reason.INVALID_ARGUMENTS, component=tool.secured.name)

    async def _answer_unknown(self, address: Address, name: Any, client: ClientRequest) -> dict[str, Any]:
        """The same answer for a tool that does not exist, that no rule names, and that the upstream has removed."""
        waited_for = self._undescribed_upstream(address, name)
        if waited_for is None:
            await self._records.record_rejected(client.caller, Reason.UNKNOWN_COMPONENT)
            raise RpcError(INVALID_PARAMS, "Unknown tool: the list of tools has those that can be called")
        await self._records.record_rejected(client.caller, Reason.UPSTREAM_UNAVAILABLE, outcome=Outcome.FAILURE)
        return refusal_result(UpstreamUnavailable.named(waited_for))

    def _undescribed_upstream(self, address: Address, name: Any) -> str | None:
        """The upstream that may have the tool, but has not been reached since the gateway was started."""
        for upstream in address.upstreams:
            may_have_it = address.name != ALL or (isinstance(name, str) and name.startswith(f"{upstream}_"))
            if may_have_it and not self._catalogue.is_described(upstream):
                return upstream
        return None


def _text_of(value: Any) -> str | None:
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_id else None
