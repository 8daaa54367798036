"""`gateway-service auth-declaration`: the resources and scopes that auth-service has to know, as YAML for auth.yaml."""

import json

from gateway_service.declaration import GatewayDeclaration
from gateway_service.settings import ACCESS_SCOPE, GatewaySettings

__all__ = ["render"]


def render(settings: GatewaySettings, declaration: GatewayDeclaration) -> str:
    """The member `resources` with one resource for each address. Texts of scopes are for the consent page."""
    lines = ["resources:"]
    lines += _resource(settings.resource, "MCP gateway", declaration.scopes)
    for upstream in declaration.upstreams:
        scopes = frozenset[str]().union(*(rule.scopes for rule in upstream.rules))
        lines += _resource(settings.resource_of(upstream.name), f"MCP gateway: {upstream.name}", scopes)
    return "\n".join(lines) + "\n"


def _resource(url: str, name: str, scopes: frozenset[str]) -> list[str]:
    lines = [f"  - url: {json.dumps(url)}", f"    name: {json.dumps(name)}", "    scopes:"]
    texts = {ACCESS_SCOPE: ("MCP 서버의 도구 사용", "Use the tools of the MCP servers")}
    texts |= {
        scope: (f"{scope} 권한이 필요한 도구 사용", f"Use the tools that need {scope}") for scope in sorted(scopes)
    }
    for scope, (korean, english) in texts.items():
        members = {"ko": korean, "en": english}
        lines.append(f"      {json.dumps(scope)}: {json.dumps(members, ensure_ascii=False)}")
    return lines
