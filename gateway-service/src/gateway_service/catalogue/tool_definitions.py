"""The definition of one tool as an upstream sends it: checked, and as the gateway offers it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway_service.declaration import ToolRule
from gateway_service.wire.json_rpc import encode
from gateway_service.wire.parameter_headers import InvalidParameterHeader, ParameterHeaders, find_parameter_headers
from security_common.pii import PIIConfiguration
from security_common.tool_policy import DeclaredArguments, SecuredTool
from security_common.tool_policy.output_schemas import loosen_output_schema
from security_common.tool_scopes import ToolScopeRule

__all__ = ["DefinitionRefused", "GatewayTool", "has_remote_reference", "make_secured", "make_tool", "tool_name_of"]

MAX_DEFINITION_BYTES = 256 * 1024
MAX_EXPOSED_NAME = 64
"""Clients hand the name on to the APIs of models, several of which allow no more."""

# Other members belong to features that the gateway does not relay, such as tasks and user interfaces.
_MEMBERS = ("title", "description", "inputSchema", "outputSchema", "annotations", "icons")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")  # JSON Schema 2020-12 and 2019-09
_EXPOSED_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_EXPOSED_NAME}}}")


class DefinitionRefused(Exception):
    """The definition breaks a rule of the protocol, so the tool is not offered. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTool:
    """One tool of an upstream with the rule that applies to it.

    `qualified_name` is its name at the address with all upstreams and in the audit trail, and `name` its name at its
    own upstream. `is_exposed` is whether the qualified name can be offered to clients. `encoded_members` is the JSON
    text of the definition behind its member `name`. It is None as long as the upstream has not been reached: the tool
    is named in the declaration, and can be called, but not listed.
    """

    upstream: str
    name: str
    qualified_name: str
    rule: ToolRule
    secured: SecuredTool
    encoded_members: bytes | None = field(default=None, repr=False)
    parameter_headers: ParameterHeaders = field(default_factory=dict[tuple[str, ...], str])

    @property
    def is_exposed(self) -> bool:
        return _EXPOSED_NAME.fullmatch(self.qualified_name) is not None


def make_secured(name: str, rule: ToolRule, arguments: DeclaredArguments) -> SecuredTool:
    """The policy of a tool, prompt, resource or completion. `name` is that in the audit trail."""
    return SecuredTool(
        name=name,
        policy=rule.arguments,
        result_policy=rule.result,
        reveal=rule.reveal,
        requires_encryption=False,
        log_access=True,
        scopes=ToolScopeRule(rule.scopes),
        signature=arguments,
    )


def make_tool(
    upstream: str, name: str, rule: ToolRule, definition: dict[str, Any] | None, configuration: PIIConfiguration
) -> GatewayTool:
    """The tool. `configuration` has the operators for kinds of personal data. Raises `DefinitionRefused`."""
    qualified_name = f"{upstream}_{rule.exposed_name or name}"
    encoded: bytes | None = None
    headers: ParameterHeaders = {}
    if definition is not None:
        headers = _check(definition)
        offered = {member: definition[member] for member in _MEMBERS if member in definition}
        encoded = encode(loosen_output_schema(offered, rule.result, qualified_name, configuration))[1:]
    arguments = DeclaredArguments(rule.identifiers, _declared_arguments(definition))
    secured = make_secured(qualified_name, rule, arguments)
    return GatewayTool(
        upstream=upstream,
        name=name,
        qualified_name=qualified_name,
        rule=rule,
        secured=secured,
        encoded_members=encoded,
        parameter_headers=headers,
    )


def _declared_arguments(definition: dict[str, Any] | None) -> Collection[str]:
    """The names of arguments that the input schema has. The upstream itself has chosen them."""
    schema: Any = definition.get("inputSchema") if definition is not None else None
    properties: Any = cast("dict[str, Any]", schema).get("properties") if isinstance(schema, dict) else None
    return cast("dict[str, Any]", properties).keys() if isinstance(properties, dict) else ()


def tool_name_of(definition: Any) -> str | None:
    """The tool's name, or None if it is not one of 1 to 128 letters, digits, `_`, `.` and `-`."""
    name: Any = cast("dict[str, Any]", definition).get("name") if isinstance(definition, dict) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _check(definition: dict[str, Any]) -> ParameterHeaders:
    """The headers of its parameters. Raises `DefinitionRefused`."""
    schema: Any = definition.get("inputSchema")
    if not isinstance(schema, dict) or not isinstance(definition.get("outputSchema", {}), dict):
        raise DefinitionRefused("its input schema or output schema is not an object")
    if not isinstance(definition.get("description", ""), str):
        raise DefinitionRefused("its description is not a text")
    execution: Any = definition.get("execution")
    if isinstance(execution, dict) and cast("dict[str, Any]", execution).get("taskSupport") == "required":
        raise DefinitionRefused("it can only be called as a task, which the gateway does not relay")
    if len(encode(definition)) > MAX_DEFINITION_BYTES:
        raise DefinitionRefused("its definition is larger than 256 KiB")
    if has_remote_reference(definition):
        raise DefinitionRefused("its schema refers to another document, which clients must not fetch")
    try:
        return find_parameter_headers(schema)
    except InvalidParameterHeader as failure:
        raise DefinitionRefused(str(failure)) from failure


def has_remote_reference(definition: Mapping[str, Any]) -> bool:
    """Whether a schema refers to another document, which clients must not fetch."""
    waiting: list[Any] = [definition.get("inputSchema"), definition.get("outputSchema")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            references = [members[name] for name in _REFERENCES if name in members]
            if any(isinstance(each, str) and not each.startswith("#") for each in references):
                return True
            waiting.extend(members.values())
        elif isinstance(value, list):
            waiting.extend(cast("list[Any]", value))
    return False
