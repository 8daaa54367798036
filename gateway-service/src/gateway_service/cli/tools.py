"""`gateway-service tools`: what every upstream offers, and what applies to it here."""

import json
from typing import Any

from gateway_service.catalogue import Catalogue, GatewayTool
from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.lock_signatures import load_lock
from gateway_service.cli.upstream_offers import UpstreamOffer, fetch_offers
from gateway_service.declaration import GatewayDeclaration
from gateway_service.settings import ACCESS_SCOPE, GatewaySettings
from security_common.pii import open_pii_detector

__all__ = ["ListedUpstream", "ask_upstreams", "print_tools"]


class ListedUpstream:
    """The tools of one upstream. `problem` is why it could not be asked."""

    def __init__(self, offer: UpstreamOffer, catalogue: Catalogue) -> None:
        self.name = offer.name
        self.location = offer.declaration.location
        self.version = offer.definitions.protocol_version or None
        self.tools = list(catalogue.addresses[offer.name].tools.values())
        self.exposed_names = {tool.qualified_name for tool in catalogue.addresses[ALL].tools.values()}
        self.notices = catalogue.notices(offer.name)
        self.problem = offer.problem


async def ask_upstreams(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[ListedUpstream]:
    """Asks each upstream for its tools, as the gateway does."""
    configuration = open_pii_detector(settings.security).configuration
    lock = load_lock(settings.lock_file, settings.lock_keys_file)
    catalogue = Catalogue(declaration, configuration, is_local=settings.is_local, lock=lock)
    offers = await fetch_offers(settings, declaration, lock)
    for offer in offers:
        if offer.problem is None:
            catalogue.update(offer.name, offer.definitions)
    return [ListedUpstream(offer, catalogue) for offer in offers]


async def print_tools(settings: GatewaySettings, declaration: GatewayDeclaration, *, as_json: bool) -> None:
    """Prints the tools. Raises SystemExit with status 1 if an upstream could not be asked."""
    found = await ask_upstreams(settings, declaration)
    if as_json:
        print(json.dumps([_as_members(each) for each in found], ensure_ascii=False, indent=2))
    else:
        for notice in declaration.notices:
            print(f"note: {notice}")
        print("\n".join(line for each in found for line in _lines(each)))
    if any(each.problem for each in found):
        raise SystemExit(1)


def _lines(upstream: ListedUpstream) -> list[str]:
    lines = [f"{upstream.name}  {upstream.location}  {upstream.version or 'not reached'}"]
    if upstream.problem is not None:
        lines.append(f"  error: {upstream.problem.description}; {upstream.problem.hint}")
    for tool in upstream.tools:
        name = tool.qualified_name if tool.qualified_name in upstream.exposed_names else f"{tool.name} (own address)"
        lines.append(f"  {name}  scopes: {_scopes(tool)}  arguments: {tool.rule.arguments}  result: {tool.rule.result}")
    return lines + [f"  note: {notice}" for notice in upstream.notices]


def _scopes(tool: GatewayTool) -> str:
    return " ".join([ACCESS_SCOPE, *sorted(tool.rule.scopes)])


def _as_members(upstream: ListedUpstream) -> dict[str, Any]:
    return {
        "upstream": upstream.name,
        "location": upstream.location,
        "protocol_version": upstream.version,
        "error": str(upstream.problem) if upstream.problem else None,
        "tools": [
            {
                "name": tool.name,
                "exposed_name": tool.qualified_name if tool.qualified_name in upstream.exposed_names else None,
                "scopes": [ACCESS_SCOPE, *sorted(tool.rule.scopes)],
                "arguments": tool.rule.arguments,
                "result": tool.rule.result,
            }
            for tool in upstream.tools
        ],
        "notes": list(upstream.notices),
    }
