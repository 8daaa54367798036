"""`gateway-service suggest`: rules for every tool, as YAML to check and to copy into gateway.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from gateway_service.catalogue.invisible_characters import escape_invisible
from gateway_service.catalogue.rule_suggestions import SuggestedRule, suggest_rule
from gateway_service.catalogue.tool_definitions import tool_name_of
from gateway_service.cli.upstream_offers import UpstreamOffer, fetch_offers
from gateway_service.declaration import GatewayDeclaration
from gateway_service.settings import GatewaySettings

__all__ = ["print_suggestions", "rule_lines", "yaml_text"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Words that YAML 1.1 or 1.2 reads as something else than a text.
_NOT_PLAIN = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


async def print_suggestions(settings: GatewaySettings, declaration: GatewayDeclaration) -> None:
    """Prints the rules. Raises SystemExit with status 1 if an upstream could not be asked."""
    offers = await fetch_offers(settings, declaration)
    print("# Check each rule: it follows from names, hints and schemas only.")
    print("upstreams:")
    for offer in offers:
        print(f"  {offer.name}:")
        if offer.problem is not None:
            print(f"    # error: {offer.problem.description}")
            continue
        for line in rule_lines(offer, scope_only=False):
            print(f"    {line}")
    if any(offer.problem for offer in offers):
        raise SystemExit(1)


def rule_lines(offer: UpstreamOffer, *, scope_only: bool) -> Iterator[str]:
    """The member `tools` of an upstream as lines: the suggested rules, or only their scopes."""
    definitions = {tool_name_of(each): cast("dict[str, Any]", each) for each in offer.definitions.tools}
    named = sorted((name, each) for name, each in definitions.items() if name is not None)
    yield "tools:" if named else "tools: {}"
    for name, definition in named:
        suggested = suggest_rule(offer.name, definition)
        if scope_only:
            suggested = SuggestedRule(scope=suggested.scope, reasons=suggested.reasons)
        yield f"  {yaml_text(name)}: {_members(suggested)}  # {'; '.join(suggested.reasons)}"


def yaml_text(text: str) -> str:
    """The text as a scalar of YAML, in quotes where it needs them."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN
    return text if is_plain else escape_invisible(json.dumps(text, ensure_ascii=False))


def _members(rule: SuggestedRule) -> str:
    members = [f"scope: {yaml_text(rule.scope)}"]
    if rule.policy is not None:
        members.append(f"policy: {rule.policy}")
    if rule.identifiers:
        members.append(f"identifiers: [{', '.join(map(yaml_text, rule.identifiers))}]")
    if rule.subject is not None:
        members.append(f"subject: {yaml_text(rule.subject)}")
    if rule.task is not None:
        members.append(f"task: {rule.task}")
    if rule.reveal:
        members.append(f"reveal: [{', '.join(rule.reveal)}]")
    return f"{{{', '.join(members)}}}"
