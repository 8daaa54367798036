"""`gateway-service tools`: what every upstream offers, and what applies to it here."""

import json
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from gateway_service.catalogue import Catalogue, GatewayTool, OfferedComponents
from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.lock_signatures import load_lock
from gateway_service.catalogue.offered_components import GatewayPrompt
from gateway_service.cli.upstream_offers import UpstreamOffer, fetch_offers
from gateway_service.declaration import GatewayDeclaration, ToolRule
from gateway_service.generation import protect_definition
from gateway_service.settings import ACCESS_SCOPE, GatewaySettings
from security_common.pii import open_pii_detector
from security_common.tool_policy.policy_dependencies import PolicyDependencies

__all__ = ["ListedUpstream", "ask_upstreams", "print_tools"]


class ListedUpstream:
    """What one upstream offers at its address. `problem` is why it could not be asked.

    `exposed_tools` and `exposed_prompts` are the names at the address with all upstreams, and `shared_uris` the URIs of
    resources and templates there. `resources` and `templates` are the rules by URI.
    """

    def __init__(self, offer: UpstreamOffer, catalogue: Catalogue, components: OfferedComponents) -> None:
        own, shared = components.addresses[offer.name], components.addresses[ALL]
        self.name = offer.name
        self.location = offer.declaration.location
        self.version = offer.definitions.protocol_version or None
        self.tools = list(catalogue.addresses[offer.name].tools.values())
        self.prompts = list(own.prompts.values())
        self.resources = own.rules_of_resources()
        self.templates = own.rules_of_templates()
        self.exposed_tools = {tool.qualified_name for tool in catalogue.addresses[ALL].tools.values()}
        self.exposed_prompts = set(shared.prompts)
        self.shared_uris = shared.rules_of_resources().keys() | shared.rules_of_templates().keys()
        self.notices = (*catalogue.notices(offer.name), *components.notices(offer.name))
        self.problem = offer.problem

    @property
    def has_components(self) -> bool:
        """Whether it offers a prompt, a resource or a template."""
        return bool(self.prompts or self.resources or self.templates)


async def ask_upstreams(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[ListedUpstream]:
    """Asks each upstream for what it offers, as the gateway does."""
    detector = open_pii_detector(settings.security)
    lock = load_lock(settings.lock_file, settings.lock_keys_file)
    catalogue = Catalogue(declaration, detector.configuration, is_local=settings.is_local, lock=lock)
    components = OfferedComponents(
        declaration,
        partial(protect_definition, PolicyDependencies(detector=detector)),
        catalogue.approved,
        is_contacted=lambda name: catalogue.source_problem(name) is None,
    )
    offers = await fetch_offers(settings, declaration, lock)
    for offer in offers:
        if offer.problem is None:
            catalogue.update(offer.name, offer.definitions)
            components.publish(offer.name, components.prepare(offer.name, offer.definitions))
    return [ListedUpstream(offer, catalogue, components) for offer in offers]


async def print_tools(settings: GatewaySettings, declaration: GatewayDeclaration, *, as_json: bool) -> None:
    """Prints what they offer. Raises SystemExit with status 1 if an upstream could not be asked."""
    found = await ask_upstreams(settings, declaration)
    if as_json:
        print(json.dumps([_as_members(each) for each in found], ensure_ascii=False, indent=2))
    else:
        for notice in declaration.notices:
            print(f"note: {notice}")
        print("\n".join(line for each in found for line in _lines(each)))
    if any(each.problem for each in found):
        raise SystemExit(1)


def _lines(upstream: ListedUpstream) -> Iterator[str]:
    yield f"{upstream.name}  {upstream.location}  {upstream.version or 'not reached'}"
    if upstream.problem is not None:
        yield f"  error: {upstream.problem.description}; {upstream.problem.hint}"
    for tool in upstream.tools:
        name = tool.qualified_name if tool.qualified_name in upstream.exposed_tools else f"{tool.name} (own address)"
        yield f"  {name}  {_effects(tool.rule)}"
    for prompt in upstream.prompts:
        is_exposed = prompt.qualified_name in upstream.exposed_prompts
        name = prompt.qualified_name if is_exposed else f"{prompt.name} (own address)"
        yield f"  prompt {name}  {_effects(prompt.rule)}"
    for what, rules in (("resource", upstream.resources), ("resource template", upstream.templates)):
        for uri, resource in rules.items():
            name = uri if uri in upstream.shared_uris else f"{uri} (own address)"
            yield f"  {what} {name}  rule: {resource.pattern}  {_effects(resource.rule)}"
    for notice in upstream.notices:
        yield f"  note: {notice}"


def _effects(rule: ToolRule) -> str:
    return f"scopes: {' '.join(_scopes(rule))}  arguments: {rule.arguments}  result: {rule.result}"


def _scopes(rule: ToolRule) -> list[str]:
    return [ACCESS_SCOPE, *sorted(rule.scopes)]


def _as_members(upstream: ListedUpstream) -> dict[str, Any]:
    return {
        "upstream": upstream.name,
        "location": upstream.location,
        "protocol_version": upstream.version,
        "error": str(upstream.problem) if upstream.problem else None,
        "tools": [_named_members(each, upstream.exposed_tools) for each in upstream.tools],
        "prompts": [_named_members(each, upstream.exposed_prompts) for each in upstream.prompts],
        "resources": [
            {"uri": uri, "rule": each.pattern, **_rule_members(each.rule)} for uri, each in upstream.resources.items()
        ],
        "resource_templates": [
            {"uri_template": uri, "rule": each.pattern, **_rule_members(each.rule)}
            for uri, each in upstream.templates.items()
        ],
        "notes": list(upstream.notices),
    }


def _named_members(component: GatewayTool | GatewayPrompt, exposed: Collection[str]) -> dict[str, Any]:
    exposed_name = component.qualified_name if component.qualified_name in exposed else None
    return {"name": component.name, "exposed_name": exposed_name, **_rule_members(component.rule)}


def _rule_members(rule: ToolRule) -> dict[str, Any]:
    return {"scopes": _scopes(rule), "arguments": rule.arguments, "result": rule.result}
