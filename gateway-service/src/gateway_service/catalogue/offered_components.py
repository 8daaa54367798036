"""Prompts and resources that the gateway offers. What no rule of gateway.yaml names does not exist for clients.

A prompt is found by its name at an address of the gateway. A resource is found by its URI alone, which has to match a
rule: an upstream may have resources that it does not list. A URI that rules of several upstreams match is served only
at the addresses of single upstreams.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.definition_texts import ProtectDefinition
from gateway_service.catalogue.definitions import DefinitionKind, OfferedDefinitions
from gateway_service.catalogue.lock_file import ApprovedUpstream
from gateway_service.catalogue.resource_uris import (
    MAX_URI_CHARACTERS,
    canonical_uri,
    is_unambiguous_uri,
    without_ignored_end,
)
from gateway_service.catalogue.tool_definitions import make_secured
from gateway_service.declaration import GatewayDeclaration, RulePatterns, ToolRule, UpstreamDeclaration
from gateway_service.wire.json_rpc import encode
from security_common.tool_policy import DeclaredArguments, SecuredTool

__all__ = ["AddressComponents", "GatewayPrompt", "GatewayResource", "OfferedComponents", "UpstreamComponents"]

MAX_DEFINITION_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 128

_PROMPT_MEMBERS = ("title", "description", "arguments", "icons")
_MAX_CHARACTERS = {"name": MAX_NAME_CHARACTERS, "uri": MAX_URI_CHARACTERS, "uriTemplate": MAX_URI_CHARACTERS}
_RESOURCE_MEMBERS = ("name", "title", "description", "mimeType", "annotations", "size", "icons")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPrompt:
    """One prompt of an upstream. `definition` is None as long as the upstream has not been reached.

    `completion` is what applies to completions of its arguments.
    """

    upstream: str
    name: str
    qualified_name: str
    rule: ToolRule
    secured: SecuredTool
    completion: SecuredTool
    definition: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayResource:
    """The resources and templates of an upstream that one rule matches."""

    upstream: str
    pattern: str
    rule: ToolRule
    secured: SecuredTool
    completion: SecuredTool


@dataclass(slots=True)
class UpstreamComponents:
    """What one upstream offers. Resources and templates are by URI, with the rule that matches it."""

    prompts: dict[str, GatewayPrompt]
    resources: dict[str, tuple[GatewayResource, dict[str, Any]]] = field(default_factory=dict[str, Any])
    templates: dict[str, tuple[GatewayResource, dict[str, Any]]] = field(default_factory=dict[str, Any])
    notices: tuple[str, ...] = ()


class _ResourceRules:
    """Finds the rule of one upstream for a URI."""

    def __init__(self, declaration: UpstreamDeclaration) -> None:
        self._patterns = declaration.resources
        self._canonical_patterns = RulePatterns({canonical_uri(each): each for each in declaration.resources.rules})
        self._by_pattern = {
            pattern: GatewayResource(
                upstream=declaration.name,
                pattern=pattern,
                rule=rule,
                secured=_secured(f"{declaration.name}/resources/{pattern}", rule),
                completion=_secured(f"{declaration.name}/completions/{pattern}", rule, identifiers=()),
            )
            for pattern, rule in declaration.resources.rules.items()
        }

    def at(self, uri: str) -> GatewayResource | None:
        """The rule for a URI or template; None if there is none, or if servers may read it in different ways.

        A URI that another rule would match in a form that some servers treat as the same is refused.
        """
        resource = self.matching(uri)
        if resource is None or not is_unambiguous_uri(uri):
            return None
        canonical = canonical_uri(uri)
        expected = canonical_uri(resource.pattern)
        if self._canonical_patterns.pattern_for(canonical) != expected:
            return None
        # A more specific rule, which is longer, may be meant for the URI without the end that servers ignore.
        shortened_pattern = self._canonical_patterns.pattern_for(without_ignored_end(canonical))
        return resource if shortened_pattern is None or len(shortened_pattern) <= len(expected) else None

    def matching(self, uri: str) -> GatewayResource | None:
        """The rule that matches a URI, or a template such as `repo://{owner}/{name}`, as it is written."""
        pattern = self._patterns.pattern_for(uri)
        return self._by_pattern[pattern] if pattern is not None else None


class AddressComponents:
    """The prompts and resources at one address of the gateway."""

    def __init__(self, name: str, resources: Sequence[_ResourceRules]) -> None:
        self.name = name
        self.prompts: Mapping[str, GatewayPrompt] = {}
        self._resources = resources
        self._listed_resources: Sequence[tuple[GatewayResource, dict[str, Any]]] = []
        self._listed_templates: Sequence[tuple[GatewayResource, dict[str, Any]]] = []
        self._listed_rules: Mapping[str, GatewayResource] = {}
        self.prompts_revision = 0
        """Another number as soon as the list of prompts has changed."""
        self.resources_revision = 0
        """Another number as soon as the list of resources or of templates has changed."""

    def resource_at(self, uri: str) -> GatewayResource | None:
        """The rule for a URI or template; None if there is none, or if several upstreams have one."""
        matching = [rules for rules in self._resources if rules.matching(uri) is not None]
        return matching[0].at(uri) if len(matching) == 1 else None

    def rules_of_resources(self) -> dict[str, GatewayResource]:
        """The rules of the listed resources by URI."""
        return {definition["uri"]: resource for resource, definition in self._listed_resources}

    def rules_of_templates(self) -> dict[str, GatewayResource]:
        """The rules of the listed resource templates by URI template."""
        return {definition["uriTemplate"]: resource for resource, definition in self._listed_templates}

    def listed_at(self, uri: str) -> GatewayResource | None:
        """The rule for a resource or template in the lists of this address; None if it is not listed."""
        return self._listed_rules.get(uri)

    def list_prompts(self, scopes: Collection[str] | None) -> list[dict[str, Any]]:
        """The definitions of prompts for a caller who can have these scopes; None for any scope."""
        return [
            {"name": name, **prompt.definition}
            for name, prompt in self.prompts.items()
            if prompt.definition is not None and _is_available(prompt.rule, scopes)
        ]

    def list_resources(self, scopes: Collection[str] | None) -> list[dict[str, Any]]:
        """The definitions of resources for a caller who can have these scopes."""
        return [definition for resource, definition in self._listed_resources if _is_available(resource.rule, scopes)]

    def list_templates(self, scopes: Collection[str] | None) -> list[dict[str, Any]]:
        """The definitions of resource templates for a caller who can have these scopes."""
        return [definition for resource, definition in self._listed_templates if _is_available(resource.rule, scopes)]

    def replace(self, offered: Sequence[UpstreamComponents]) -> None:
        """Sets what the upstreams of this address offer."""
        prompts_before = self.list_prompts(None)
        resources_before = (self._listed_resources, self._listed_templates)
        self._set(offered)
        self.prompts_revision += prompts_before != self.list_prompts(None)
        self.resources_revision += resources_before != (self._listed_resources, self._listed_templates)

    def _set(self, offered: Sequence[UpstreamComponents]) -> None:
        prompts = [prompt for each in offered for prompt in each.prompts.values()]
        names = [prompt.qualified_name if self.name == ALL else prompt.name for prompt in prompts]
        uses = Counter(names)
        self.prompts = {name: prompt for name, prompt in zip(names, prompts, strict=True) if uses[name] == 1}
        self._listed_resources = [
            found for each in offered for uri, found in each.resources.items() if self._has_one_rule(uri)
        ]
        self._listed_templates = [
            found for each in offered for template, found in each.templates.items() if self._has_one_rule(template)
        ]
        self._listed_rules = {**self.rules_of_resources(), **self.rules_of_templates()}

    def _has_one_rule(self, uri: str) -> bool:
        """Whether only one upstream of this address has a rule for the URI."""
        return sum(rules.matching(uri) is not None for rules in self._resources) == 1


class OfferedComponents:
    """The prompts and resources of all addresses."""

    def __init__(
        self,
        declaration: GatewayDeclaration,
        protect: ProtectDefinition,
        approved: Callable[[str], ApprovedUpstream | None] = lambda _: None,
        *,
        is_contacted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`protect` is applied to the definitions, which clients show to their users and models.

        `approved` returns what the lock has of an upstream, which is offered in place of what the upstream sends. One
        that is not contacted offers nothing, whatever its rules name.
        """
        self._declarations = {
            each.name: each if is_contacted(each.name) else _without_rules(each) for each in declaration.upstreams
        }
        self._protect = protect
        self._approved = approved
        self._resources = {name: _ResourceRules(each) for name, each in self._declarations.items()}
        self._offered = {name: self._first(each) for name, each in self._declarations.items()}
        self.addresses = {name: AddressComponents(name, [self._resources[name]]) for name in self._declarations}
        self.addresses[ALL] = AddressComponents(ALL, list(self._resources.values()))
        for name, found in self._offered.items():
            self.addresses[name].replace([found])
        self.addresses[ALL].replace(list(self._offered.values()))

    def has_prompts(self, upstreams: Collection[str]) -> bool:
        """Whether a rule names prompts of one of these upstreams."""
        return any(self._declarations[name].prompts.rules for name in upstreams)

    def has_resources(self, upstreams: Collection[str]) -> bool:
        """Whether a rule names resources of one of these upstreams."""
        return any(self._declarations[name].resources.rules for name in upstreams)

    def notices(self, upstream: str) -> tuple[str, ...]:
        """Why prompts and resources of this upstream are not offered."""
        return self._offered[upstream].notices

    def prepare(self, upstream: str, offered: OfferedDefinitions) -> UpstreamComponents:
        """What follows from the definitions that an upstream offers. Changes nothing, so a thread may do it."""
        declaration = self._declarations[upstream]
        approved = self._approved(upstream)
        prompts, resources, templates = (
            [each.definition for each in approved.of(kind).values()] if approved is not None else offered.of(kind)
            for kind in (DefinitionKind.PROMPT, DefinitionKind.RESOURCE, DefinitionKind.RESOURCE_TEMPLATE)
        )
        notices: list[str] = []
        found = UpstreamComponents({})
        for name, definition in _by_name(prompts, "name"):
            pattern = declaration.prompts.pattern_for(name)
            if pattern is not None:
                rule = declaration.prompts.rules[pattern]
                kept = self._kept(rule, definition, "name", _PROMPT_MEMBERS, notices)
                if kept is not None:
                    del kept["name"]
                    found.prompts[name] = _prompt(upstream, name, rule, kept)
        used = {declaration.prompts.pattern_for(name) for name, _ in _by_name(prompts, "name")}
        unused = [pattern for pattern in declaration.prompts.rules if pattern not in used]
        notices += [f"the rule {pattern} applies to no prompt" for pattern in unused]
        rules = self._resources[upstream]
        found.resources = self._kept_resources(resources, "uri", rules, notices)
        found.templates = self._kept_resources(templates, "uriTemplate", rules, notices)
        found.notices = tuple(dict.fromkeys(notices))
        return found

    def publish(self, upstream: str, found: UpstreamComponents) -> None:
        """Replaces what is known of one upstream."""
        self._offered[upstream] = found
        self.addresses[upstream].replace([found])
        self.addresses[ALL].replace(list(self._offered.values()))

    def _first(self, declaration: UpstreamDeclaration) -> UpstreamComponents:
        """What is known before the upstream was asked: what was approved, or else the prompts with their exact name."""
        if self._approved(declaration.name) is not None:
            return self.prepare(declaration.name, OfferedDefinitions())
        return UpstreamComponents(_named_prompts(declaration))

    def _kept_resources(
        self, definitions: Iterable[Any], member: str, rules: _ResourceRules, notices: list[str]
    ) -> dict[str, tuple[GatewayResource, dict[str, Any]]]:
        """The resources or templates that a rule matches. `member` is that with their URI."""
        found: dict[str, tuple[GatewayResource, dict[str, Any]]] = {}
        for uri, definition in _by_name(definitions, member):
            resource = rules.at(uri)
            if resource is None:
                continue
            kept = self._kept(resource.rule, definition, member, _RESOURCE_MEMBERS, notices)
            if kept is not None:
                found[uri] = (resource, kept)
        return found

    def _kept(
        self, rule: ToolRule, definition: dict[str, Any], key: str, members: Sequence[str], notices: list[str]
    ) -> dict[str, Any] | None:
        """The members of a definition that clients get, without personal data. None if it cannot be offered."""
        kept = {member: definition[member] for member in (key, *members) if member in definition}
        if len(encode(kept)) > MAX_DEFINITION_BYTES:
            notices.append("a prompt or resource is left out: its definition is larger than 256 KiB")
            return None
        protected = self._protect(rule.result, kept)
        if protected.get(key) != kept[key]:
            notices.append("a prompt or resource is left out: there is personal data in its name or URI")
            return None
        return protected


def _without_rules(declaration: UpstreamDeclaration) -> UpstreamDeclaration:
    return replace(declaration, prompts=RulePatterns[ToolRule]({}), resources=RulePatterns[ToolRule]({}))


def _named_prompts(declaration: UpstreamDeclaration) -> dict[str, GatewayPrompt]:
    """The prompts that the declaration names exactly. They can be used before the upstream was asked for its list."""
    rules = declaration.prompts.rules
    return {name: _prompt(declaration.name, name, rules[name], None) for name in declaration.prompts.exact_names}


def _prompt(upstream: str, name: str, rule: ToolRule, definition: dict[str, Any] | None) -> GatewayPrompt:
    return GatewayPrompt(
        upstream=upstream,
        name=name,
        qualified_name=f"{upstream}_{rule.exposed_name or name}",
        rule=rule,
        secured=_secured(f"{upstream}/prompts/{name}", rule),
        completion=_secured(f"{upstream}/completions/{name}", rule),
        definition=definition,
    )


def _secured(name: str, rule: ToolRule, *, identifiers: Sequence[str] | None = None) -> SecuredTool:
    """`name` has a slash, which names of tools cannot have."""
    return make_secured(name, rule, DeclaredArguments(rule.identifiers if identifiers is None else identifiers))


def _by_name(definitions: Iterable[Any], member: str) -> list[tuple[str, dict[str, Any]]]:
    """The definitions that have a name of their own; others cannot be used."""
    named: dict[str, dict[str, Any]] = {}
    for definition in definitions:
        members = cast("dict[str, Any]", definition) if isinstance(definition, dict) else {}
        name: Any = members.get(member)
        if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _MAX_CHARACTERS[member]:
            named.setdefault(name, members)
    return list(named.items())


def _is_available(rule: ToolRule, scopes: Collection[str] | None) -> bool:
    return scopes is None or rule.scopes <= frozenset(scopes)
