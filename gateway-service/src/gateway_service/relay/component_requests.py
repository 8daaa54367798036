"""Prompts, resources and completions: finds the component and its rule, and runs the call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeGuard, cast

from gateway_service.catalogue.offered_components import AddressComponents, GatewayPrompt, GatewayResource
from gateway_service.declaration import ToolRule
from gateway_service.relay.call_records import CallRecords
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.component_calls import ComponentCall
from gateway_service.relay.relayed_calls import RelayedCalls
from gateway_service.relay.upstream_results import InvalidResult, data_members
from gateway_service.wire.json_rpc import INVALID_PARAMS, RESOURCE_NOT_FOUND, RpcError
from security_common.audit import EventType, Reason
from security_common.tool_policy import SecuredTool

__all__ = ["ComponentRequests", "MissingScope"]

MAX_COMPLETION_VALUES = 100  # MCP, completion


class MissingScope(Exception):
    """The token has not all scopes of the component's rule. `scopes` are those of the rule."""

    def __init__(self, scopes: frozenset[str]) -> None:
        super().__init__(" ".join(sorted(scopes)))
        self.scopes = scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCall(ComponentCall):
    """A request for the messages of a prompt."""

    method: ClassVar[str] = "prompts/get"

    def parameters(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": self.named, "arguments": passed} if passed else {"name": self.named}

    def read_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(result.get("messages"), list):
            raise InvalidResult("sent a prompt without messages")
        return data_members(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRead(ComponentCall):
    """A request for the contents of a resource. Its URI is sent to the upstream as it is."""

    method: ClassVar[str] = "resources/read"

    @property
    def requested_uri(self) -> str | None:
        return self.named

    def parameters(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        del passed
        return {"uri": self.named}

    def error_code(self, code: int, *, is_stateless: bool) -> int:
        """2026-07-28 has no code of its own for a resource that does not exist."""
        return INVALID_PARAMS if is_stateless and code == RESOURCE_NOT_FOUND else code

    def read_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        contents: Any = result.get("contents")
        if not isinstance(contents, list) or not all(isinstance(each, dict) for each in cast("list[Any]", contents)):
            raise InvalidResult("sent a resource without contents")
        return data_members(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionCall(ComponentCall):
    """A request for values that an argument of a prompt or of a template can have: the first of `arguments`."""

    method: ClassVar[str] = "completion/complete"
    may_request_input: ClassVar[bool] = False

    reference: Mapping[str, str] = field(repr=False)

    def parameters(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        (name, value), *others = passed.items()  # the name may have been changed by the policy
        params = {"ref": self.reference, "argument": {"name": name, "value": value}}
        return {**params, "context": {"arguments": dict(others)}} if others else params

    def read_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        completion: Any = result.get("completion")
        members = cast("dict[str, Any]", completion) if isinstance(completion, dict) else {}
        values: Any = members.get("values")
        if not isinstance(values, list) or not all(isinstance(each, str) for each in cast("list[Any]", values)):
            raise InvalidResult("sent a completion without values")
        kept = {name: members[name] for name in ("total", "hasMore") if name in members}
        return {**data_members(result), "completion": {"values": values[:MAX_COMPLETION_VALUES], **kept}}


class ComponentRequests:
    """Serves prompts, resources and completions of upstreams under their rules.

    Its methods raise `RpcError`, `MissingScope` and `CallUnavailable`; the request is recorded then as well.
    """

    def __init__(self, calls: RelayedCalls, records: CallRecords) -> None:
        self._calls = calls
        self._records = records

    async def get_prompt(self, address: AddressComponents, client: ClientRequest) -> dict[str, Any]:
        """The result of `prompts/get`."""
        params = client.message.params
        name, arguments = params.get("name"), params.get("arguments", {})
        prompt = address.prompts.get(name) if isinstance(name, str) else None
        if prompt is None:
            raise await self._unknown(client, "prompt")
        await self._require_scopes(prompt.rule, prompt.secured, client)
        if not _is_text_object(arguments):
            raise await self._malformed(client, prompt.secured, "the arguments must be an object of texts")
        call = PromptCall(
            upstream=prompt.upstream,
            secured=prompt.secured,
            arguments=arguments,
            named=prompt.name,
            task=prompt.rule.task,
        )
        return await self._calls.run(call, client)

    async def read_resource(self, address: AddressComponents, client: ClientRequest) -> dict[str, Any]:
        """The result of `resources/read`. The contents depend on the caller, so they must not be shared."""
        uri = client.message.params.get("uri")
        resource = address.resource_at(uri) if isinstance(uri, str) else None
        if resource is None or not isinstance(uri, str):
            raise await self._unknown(client, "resource")
        await self._require_scopes(resource.rule, resource.secured, client)
        call = ResourceRead(
            upstream=resource.upstream,
            secured=resource.secured,
            arguments={"uri": uri},
            named=uri,
            task=resource.rule.task,
        )
        result = await self._calls.run(call, client)
        is_complete = "inputRequests" not in result and "requestState" not in result
        return {**result, "ttlMs": 0, "cacheScope": "private"} if client.is_stateless and is_complete else result

    async def complete(self, address: AddressComponents, client: ClientRequest) -> dict[str, Any]:
        """The result of `completion/complete`. The rule is that of the prompt or template."""
        params = client.message.params
        component, reference = self._referenced(address, params.get("ref"))
        if component is None:
            raise await self._unknown(client, "prompt or resource template")
        await self._require_scopes(component.rule, component.completion, client)
        argument, context = params.get("argument"), params.get("context", {})
        others: Any = cast("dict[str, Any]", context).get("arguments", {}) if isinstance(context, dict) else None
        if not _is_text_object(argument) or not {"name", "value"} <= argument.keys() or not _is_text_object(others):
            problem = "`argument` needs a name and a value, and `context.arguments` must be an object of texts"
            raise await self._malformed(client, component.completion, problem)
        named = {argument["name"]: argument["value"]}
        call = CompletionCall(
            upstream=component.upstream,
            secured=component.completion,
            arguments={**named, **others, **named},
            reference=reference,
        )
        return await self._calls.run(call, client)

    @staticmethod
    def _referenced(
        address: AddressComponents, reference: Any
    ) -> tuple[GatewayPrompt | GatewayResource | None, Mapping[str, str]]:
        """The prompt or the rule of the template, and how its upstream calls it."""
        members = cast("dict[str, Any]", reference) if isinstance(reference, dict) else {}
        name, uri = members.get("name"), members.get("uri")
        if members.get("type") == "ref/prompt" and isinstance(name, str):
            prompt = address.prompts.get(name)
            return prompt, {"type": "ref/prompt", "name": prompt.name if prompt else ""}
        if members.get("type") == "ref/resource" and isinstance(uri, str):
            return address.listed_at(uri), {"type": "ref/resource", "uri": uri}
        return None, {}

    async def _require_scopes(self, rule: ToolRule, secured: SecuredTool, client: ClientRequest) -> None:
        if rule.scopes <= client.caller.token.scopes:
            return
        await self._records.record_rejected(
            client.caller, Reason.INSUFFICIENT_SCOPE, component=secured.name, event_type=EventType.ACCESS_REFUSED
        )
        raise MissingScope(rule.scopes)

    async def _unknown(self, client: ClientRequest, kind: str) -> RpcError:
        """The same answer for what does not exist, what no rule names, and what two upstreams could have."""
        await self._records.record_rejected(client.caller, Reason.UNKNOWN_COMPONENT)
        code = RESOURCE_NOT_FOUND if kind == "resource" and not client.is_stateless else INVALID_PARAMS
        return RpcError(code, f"Unknown {kind}: the lists have those that can be used")

    async def _malformed(self, client: ClientRequest, secured: SecuredTool, problem: str) -> RpcError:
        await self._records.record_rejected(client.caller, Reason.INVALID_ARGUMENTS, component=secured.name)
        return RpcError(INVALID_PARAMS, problem)


def _is_text_object(value: Any) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(each, str) for each in cast("dict[str, Any]", value).values())
