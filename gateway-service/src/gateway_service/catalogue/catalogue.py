"""The tools of every address: `/mcp` with all upstreams, and `/mcp/<name>` with one of them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from gateway_service.catalogue.tool_definitions import DefinitionRefused, GatewayTool, make_tool, tool_name_of
from gateway_service.declaration import GatewayDeclaration, UpstreamDeclaration
from security_common.pii import PIIConfiguration
from security_common.tool_scopes import ScopeRule

__all__ = ["ALL", "Address", "Catalogue"]

ALL = ""
"""The name of the address with all upstreams."""


@dataclass(slots=True)
class Address:
    """One address of the gateway. `upstreams` are the names of those behind it.

    `tool_scopes` and `recorded_names` (the name in the audit trail of each tool) are tables of the guard, so they are
    changed and never replaced.
    """

    name: str
    upstreams: tuple[str, ...]
    tools: dict[str, GatewayTool] = field(default_factory=dict[str, GatewayTool])
    tool_scopes: dict[str, ScopeRule] = field(default_factory=dict[str, ScopeRule])
    recorded_names: dict[str, str] = field(default_factory=dict[str, str])

    def replace(self, tools: dict[str, GatewayTool]) -> None:
        """Sets the tools of this address by the names they have here."""
        self.tools = tools
        self.recorded_names.clear()
        self.recorded_names.update({name: tool.qualified_name for name, tool in tools.items()})
        self.tool_scopes.clear()
        self.tool_scopes.update({name: tool.rule.scopes for name, tool in tools.items() if tool.rule.scopes})

    def encoded_definitions(self, scopes: Collection[str], requestable: frozenset[str] | None) -> bytes:
        """The definitions for a caller with these scopes, in the order of names, as the items of a JSON array.

        A tool that needs a further scope is included if a client may request that scope for any user.
        """
        available = None if requestable is None else requestable.union(scopes)
        return b",".join(
            b'{"name":"%b",%b' % (name.encode(), tool.encoded_members)
            for name, tool in self.tools.items()
            if tool.encoded_members is not None and (available is None or tool.rule.scopes <= available)
        )


class Catalogue:
    """The tools that are known at present. Without definitions it has the tools that the declaration names exactly."""

    def __init__(self, declaration: GatewayDeclaration, configuration: PIIConfiguration, *, is_local: bool) -> None:
        """`is_local` is whether gateway and issuer are on this machine."""
        self._declarations = {each.name: each for each in declaration.upstreams}
        self._configuration = configuration
        self._is_local = is_local
        self._tools = {each.name: self._named_tools(each) for each in declaration.upstreams}
        self._described: set[str] = set()
        self._findings: dict[str, tuple[str, ...]] = {}
        self.requestable_scopes = declaration.requestable_scopes
        self.addresses = {name: Address(name, (name,)) for name in declaration.names}
        self.addresses[ALL] = Address(ALL, declaration.names)
        self._publish()

    def is_described(self, upstream: str) -> bool:
        """Whether the definitions of this upstream are known."""
        return upstream in self._described

    def findings(self, upstream: str) -> tuple[str, ...]:
        """Why tools of this upstream are not offered."""
        declaration = self._declarations[upstream]
        if declaration.tools is None and not self._is_local:
            return (
                "none of its tools is available: elsewhere than on loopback, gateway.yaml has to name them in `tools`",
            )
        return self._findings.get(upstream, ())

    def update(self, upstream: str, definitions: Sequence[Any]) -> None:
        """Replaces what is known of one upstream."""
        declaration = self._declarations[upstream]
        findings: list[str] = []
        tools: dict[str, GatewayTool] = {}
        names = Counter(tool_name_of(definition) for definition in definitions)
        for definition in definitions:
            name = tool_name_of(definition)
            if name is None:
                findings.append("a tool is left out: it has no name of 1 to 128 letters, digits, `_`, `.` and `-`")
                continue
            if names[name] > 1:
                findings.append(f"{name} is left out: the upstream has several tools of this name")
                continue
            rule = declaration.rule_for(name, is_local=self._is_local)
            if rule is None:
                continue
            try:
                members = cast("dict[str, Any]", definition)
                tools[name] = make_tool(upstream, name, rule, members, self._configuration)
            except DefinitionRefused as refusal:
                findings.append(f"{name} is left out: {refusal}")
        findings += _unused_rules(declaration, [name for name in names if name is not None])
        findings += _names_not_exposed(list(tools.values()))
        self._tools[upstream] = dict(sorted(tools.items()))
        self._described.add(upstream)
        self._findings[upstream] = tuple(dict.fromkeys(findings))
        self._publish()

    def _named_tools(self, declaration: UpstreamDeclaration) -> dict[str, GatewayTool]:
        tools: dict[str, GatewayTool] = {}
        for name in sorted(declaration.exact_names):
            rule = declaration.rule_for(name, is_local=self._is_local)
            if rule is not None:
                tools[name] = make_tool(declaration.name, name, rule, None, self._configuration)
        return tools

    def _publish(self) -> None:
        """Sets the tools of all addresses. No request is served in between, because nothing is awaited."""
        for upstream, tools in self._tools.items():
            self.addresses[upstream].replace(tools)
        every_tool = [tool for upstream in sorted(self._tools) for tool in self._tools[upstream].values()]
        uses = Counter(tool.qualified_name for tool in every_tool)
        exposed = [tool for tool in every_tool if tool.is_exposed and uses[tool.qualified_name] == 1]
        self.addresses[ALL].replace({tool.qualified_name: tool for tool in exposed})


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
