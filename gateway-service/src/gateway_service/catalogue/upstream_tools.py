"""The tools of one upstream: its definitions with the rules of gateway.yaml."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from gateway_service.catalogue.definition_changes import DefinitionChange
from gateway_service.catalogue.definition_texts import ProtectDefinition, protect_definition_texts
from gateway_service.catalogue.definitions import OfferedDefinitions
from gateway_service.catalogue.tool_definitions import DefinitionRefused, GatewayTool, make_tool, tool_name_of
from gateway_service.declaration import UpstreamDeclaration
from security_common.pii import PIIConfiguration
from security_common.tool_policy import TooMuchData

__all__ = ["UpstreamTools", "make_tools", "tools_of_named_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTools:
    """What the gateway offers of one upstream.

    `notices` say which tools are not offered, and why. `changes` are the differences between what the upstream offers
    and what was approved; there are none if nothing was.
    """

    upstream: str
    tools: Mapping[str, GatewayTool]
    notices: tuple[str, ...] = ()
    changes: tuple[DefinitionChange, ...] = ()
    offered: OfferedDefinitions | None = field(default=None, repr=False)
    instructions: str | None = field(default=None, repr=False)


def make_tools(
    declaration: UpstreamDeclaration,
    definitions: Sequence[Any],
    configuration: PIIConfiguration,
    *,
    is_local: bool,
    protect: ProtectDefinition | None = None,
) -> UpstreamTools:
    """The tools of these definitions, in the order of names. It may run in another thread.

    `protect` is applied to their texts, unless a person has approved them.
    """
    notices: list[str] = []
    tools: dict[str, GatewayTool] = {}
    names = Counter(tool_name_of(definition) for definition in definitions)
    for definition in definitions:
        name = tool_name_of(definition)
        if name is None:
            notices.append("a tool is left out: it has no name of 1 to 128 letters, digits, `_`, `.` and `-`")
            continue
        if names[name] > 1:
            notices.append(f"{name} is left out: the upstream has several tools of this name")
            continue
        rule = declaration.rule_for(name, is_local=is_local)
        if rule is None:
            continue
        try:
            members = cast("dict[str, Any]", definition)
            if protect is not None:
                members = protect_definition_texts(members, partial(protect, rule.result))
            tools[name] = make_tool(declaration.name, name, rule, members, configuration)
        except TooMuchData:
            notices.append(f"{name} is left out: its definition is too large to be searched for personal data")
        except DefinitionRefused as refusal:
            notices.append(f"{name} is left out: {refusal}")
    notices += _unused_rules(declaration, [name for name in names if name is not None])
    notices += _names_not_exposed(list(tools.values()))
    return UpstreamTools(
        upstream=declaration.name, tools=dict(sorted(tools.items())), notices=tuple(dict.fromkeys(notices))
    )


def tools_of_named_rules(
    declaration: UpstreamDeclaration, configuration: PIIConfiguration, *, is_local: bool
) -> UpstreamTools:
    """The tools that the declaration names exactly. Their definitions are not known."""
    tools: dict[str, GatewayTool] = {}
    for name in sorted(declaration.exact_names):
        rule = declaration.rule_for(name, is_local=is_local)
        if rule is not None:
            tools[name] = make_tool(declaration.name, name, rule, None, configuration)
    return UpstreamTools(upstream=declaration.name, tools=tools)


def _unused_rules(declaration: UpstreamDeclaration, names: Sequence[str]) -> list[str]:
    """Rules that apply to no tool: probably a misspelled name, or a tool that the upstream has removed."""
    used = {declaration.pattern_for(name) for name in names}
    return [f"the rule {pattern} applies to no tool" for pattern in declaration.tools or {} if pattern not in used]


def _names_not_exposed(tools: Sequence[GatewayTool]) -> list[str]:
    """Tools that are only at the address of their own upstream."""
    uses = Counter(tool.qualified_name for tool in tools)
    clashing = {tool.name for tool in tools if uses[tool.qualified_name] > 1}
    unsuitable = {tool.name for tool in tools if not tool.is_exposed} - clashing
    reasons = [f"{name} is not at the address with all upstreams: another tool has its name" for name in clashing]
    reasons += [
        f"{name} is not at the address with all upstreams: its name there is longer than 64 characters or has another "
        "character than letters, digits, `_` and `-`; give it one with `as`"
        for name in unsuitable
    ]
    return sorted(reasons)
