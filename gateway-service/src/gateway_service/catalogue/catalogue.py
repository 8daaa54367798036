"""The tools of every address: `/mcp` with all upstreams, and `/mcp/<name>` with one of them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from gateway_service.catalogue.approved_sources import SourceNotApproved, find_source_problem
from gateway_service.catalogue.definition_changes import ChangeKind, DefinitionChange, find_changes
from gateway_service.catalogue.definition_texts import ProtectDefinition
from gateway_service.catalogue.definitions import DefinitionKind, OfferedDefinitions
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock
from gateway_service.catalogue.tool_definitions import GatewayTool
from gateway_service.catalogue.upstream_tools import UpstreamTools, make_tools, tools_of_named_rules
from gateway_service.declaration import GatewayDeclaration, UpstreamDeclaration
from security_common.pii import PIIConfiguration
from security_common.tool_scopes import ScopeRule

__all__ = ["ALL", "Address", "Catalogue"]

ALL = ""
"""The name of the address with all upstreams."""

MAX_INSTRUCTIONS_CHARACTERS = 16 * 1024
MAX_LIVE_TOOLS = 4000
"""Tools of an upstream with live lists that are known at once. Beyond it, those of the last list remain."""

_NOT_NAMED = "none of its tools is available: elsewhere than on loopback, gateway.yaml has to name them in `tools`"


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
    revision: int = 0
    """Another number as soon as the list of tools has changed."""

    def replace(self, tools: dict[str, GatewayTool]) -> None:
        """Sets the tools of this address by the names they have here."""
        if _listed(tools) != _listed(self.tools):
            self.revision += 1
        self.tools = tools
        self.recorded_names.clear()
        self.recorded_names.update({name: tool.qualified_name for name, tool in tools.items()})
        self.tool_scopes.clear()
        self.tool_scopes.update({name: tool.rule.scopes for name, tool in tools.items() if tool.rule.scopes})

    def encoded_definitions(
        self,
        scopes: Collection[str],
        requestable: frozenset[str] | None,
        live: Mapping[str, Mapping[str, GatewayTool]] | None = None,
    ) -> bytes:
        """The definitions for a caller with these scopes, in the order of names, as the items of a JSON array.

        A tool that needs a further scope is included if a client may request that scope for any user. `live` has the
        tools of upstreams with live lists, as this caller gets them, by the name of the upstream.
        """
        available = None if requestable is None else requestable.union(scopes)
        listed: list[bytes] = []
        for name, known in self.tools.items():
            tool = known if live is None or known.upstream not in live else live[known.upstream].get(known.name)
            if tool is None or tool.encoded_members is None:
                continue
            if available is None or tool.rule.scopes <= available:
                listed.append(b'{"name":"%b",%b' % (name.encode(), tool.encoded_members))
        return b",".join(listed)


class Catalogue:
    """The tools that are offered at present.

    With a lock, they are the approved ones, and a check of an upstream only finds the differences. Without one they are
    what the upstreams offer; until an upstream was reached, it has the tools that the declaration names exactly.
    """

    def __init__(
        self,
        declaration: GatewayDeclaration,
        configuration: PIIConfiguration,
        *,
        is_local: bool,
        lock: Lock | None = None,
        protect: ProtectDefinition | None = None,
    ) -> None:
        """`is_local` is whether gateway and issuer are on this machine.

        `protect` is applied to what no person has approved: the texts of tools and the instructions.
        """
        self._declarations = {each.name: each for each in declaration.upstreams}
        self._configuration = configuration
        self._is_local = is_local
        self._protect = protect
        self._source_problems = {each.name: find_source_problem(each, lock) for each in declaration.upstreams}
        self._approved = {
            each.name: lock.upstreams[each.name] if self.source_problem(each.name) is None else ApprovedUpstream()
            for each in declaration.upstreams
            if lock is not None and not each.is_live
        }
        self._found = {each.name: self._first_tools(each.name) for each in declaration.upstreams}
        self._described = set(self._approved)
        self._refused: frozenset[tuple[str, str]] = frozenset()
        self.requestable_scopes = declaration.requestable_scopes
        self.addresses = {name: Address(name, (name,)) for name in declaration.names}
        self.addresses[ALL] = Address(ALL, declaration.names)
        for name, found in self._found.items():
            self.addresses[name].replace(dict(found.tools))
        self._publish_combined()

    def is_described(self, upstream: str) -> bool:
        """Whether the definitions of this upstream are known."""
        return upstream in self._described

    def source_problem(self, upstream: str) -> SourceNotApproved | None:
        """Why this upstream must not be contacted; None if it may be."""
        return self._source_problems[upstream]

    def is_live(self, upstream: str) -> bool:
        """Whether the tools of this upstream are requested for each caller."""
        return self._declarations[upstream].is_live

    def approved(self, upstream: str) -> ApprovedUpstream | None:
        """What was approved of this upstream; None if it is not pinned, so that its own definitions are offered."""
        return self._approved.get(upstream)

    def instructions(self, upstream: str) -> str | None:
        """The instructions of this upstream for clients; None if it has none, or was not reached."""
        instructions = self._found[upstream].instructions
        return instructions[:MAX_INSTRUCTIONS_CHARACTERS] if instructions else None

    def changes(self, upstream: str) -> tuple[DefinitionChange, ...]:
        """The differences between what this upstream offered last and what was approved."""
        return self._found[upstream].changes

    def offered(self, upstream: str) -> OfferedDefinitions | None:
        """What this upstream offered last; None if it was not reached, or does not exist."""
        found = self._found.get(upstream)
        return found.offered if found is not None else None

    def refuses(self, tool: GatewayTool) -> bool:
        """Whether calls are refused because the tool has changed since it was approved."""
        return bool(self._refused) and (tool.upstream, tool.name) in self._refused

    def notices(self, upstream: str) -> tuple[str, ...]:
        """Why tools of this upstream are not offered, or not as the upstream describes them."""
        if self._source_problems[upstream] is not None:  # reported as the problem of the upstream
            return ()
        if self._declarations[upstream].tools is None and not self._is_local:
            return (_NOT_NAMED,)
        found = self._found[upstream]
        # New definitions are only counted: their names are text of the upstream that no person has seen.
        added = Counter(each.kind for each in found.changes if each.change_kind is ChangeKind.ADDED)
        changed = [str(each) for each in found.changes if each.change_kind is not ChangeKind.ADDED]
        new = [f"{count} of kind {kind} not approved: see `gateway-service pin`" for kind, count in added.items()]
        return (*found.notices, *changed, *new)

    def prepare(self, upstream: str, offered: OfferedDefinitions) -> UpstreamTools:
        """What follows from the definitions that an upstream offers now. Changes nothing, so a thread may do it."""
        declaration = self._declarations[upstream]
        approved = self._approved.get(upstream)
        if approved is None:
            tools = make_tools(
                declaration, offered.tools, self._configuration, is_local=self._is_local, protect=self._protect
            )
            return replace(tools, offered=offered, instructions=self._protected_instructions(declaration, offered))
        changes = find_changes(approved, offered)
        removed = {
            each.name for each in changes if each.kind is DefinitionKind.TOOL and each.change_kind is ChangeKind.REMOVED
        }
        definitions = [
            each.definition for name, each in approved.of(DefinitionKind.TOOL).items() if name not in removed
        ]
        tools = make_tools(declaration, definitions, self._configuration, is_local=self._is_local)
        return replace(tools, changes=changes, offered=offered, instructions=approved.instructions)

    def publish(self, tools: UpstreamTools) -> None:
        """Replaces what is known of one upstream. One with live lists keeps the tools of other callers, up to a limit.

        A call needs the rule of its tool, also if another caller has listed it; the upstream decides who may call it.
        """
        if self.is_live(tools.upstream):
            known = {**self._found[tools.upstream].tools, **tools.tools}
            if len(known) <= MAX_LIVE_TOOLS:
                tools = replace(tools, tools=dict(sorted(known.items())))
        self._found[tools.upstream] = tools
        self._described.add(tools.upstream)
        # No request is served before everything is replaced, because nothing is awaited.
        self.addresses[tools.upstream].replace(dict(tools.tools))
        self._publish_combined()

    def add_live(self, tools: UpstreamTools) -> None:
        """Makes tools known that an upstream with live lists has for some caller."""
        known = self._found[tools.upstream]
        if not tools.tools.keys() <= known.tools.keys():
            self.publish(replace(tools, instructions=known.instructions))

    def update(self, upstream: str, offered: OfferedDefinitions) -> None:
        """`prepare` and `publish` at once."""
        self.publish(self.prepare(upstream, offered))

    def continue_from(self, previous: "Catalogue") -> None:
        """Takes over what the upstreams have offered to a catalogue with another declaration or lock."""
        for name in self._declarations:
            offered = previous.offered(name)
            if offered is not None and self._source_problems[name] is None:
                self.update(name, offered)

    def _first_tools(self, upstream: str) -> UpstreamTools:
        """The tools before the upstream was asked."""
        declaration = self._declarations[upstream]
        approved = self._approved.get(upstream)
        if approved is None:
            return tools_of_named_rules(declaration, self._configuration, is_local=self._is_local)
        definitions = [each.definition for each in approved.of(DefinitionKind.TOOL).values()]
        tools = make_tools(declaration, definitions, self._configuration, is_local=self._is_local)
        return replace(tools, instructions=approved.instructions)

    def _protected_instructions(self, declaration: UpstreamDeclaration, offered: OfferedDefinitions) -> str | None:
        """The beginning of the instructions, without personal data if the upstream's policy is not to observe."""
        if not offered.instructions:
            return None
        text = offered.instructions[:MAX_INSTRUCTIONS_CHARACTERS]
        if self._protect is None:
            return text
        return self._protect(declaration.default_rule.result, {"instructions": text})["instructions"]

    def _publish_combined(self) -> None:
        """Sets the tools of the address with all upstreams, and those whose calls are refused."""
        every_tool = [tool for name in sorted(self._found) for tool in self._found[name].tools.values()]
        uses = Counter(tool.qualified_name for tool in every_tool)
        exposed = [tool for tool in every_tool if tool.is_exposed and uses[tool.qualified_name] == 1]
        self.addresses[ALL].replace({tool.qualified_name: tool for tool in exposed})
        self._refused = frozenset(
            (name, change.name)
            for name, found in self._found.items()
            if self._declarations[name].refuses_changes
            for change in found.changes
            if change.kind is DefinitionKind.TOOL and change.change_kind is ChangeKind.INTERFACE
        )


def _listed(tools: Mapping[str, GatewayTool]) -> list[tuple[str, bytes, frozenset[str]]]:
    """What clients see of the tools: names, definitions, and the scopes on which a list depends."""
    return [
        (name, tool.encoded_members, tool.rule.scopes)
        for name, tool in tools.items()
        if tool.encoded_members is not None
    ]
