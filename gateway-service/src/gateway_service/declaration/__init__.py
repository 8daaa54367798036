"""The file that declares the upstreams: gateway.yaml, or a JSON file with `mcpServers` (or `servers`, as in VS Code).

    file ─▶ documents: YAML or JSON, with the line of each member
         ─▶ mcp_servers: entries of an mcpServers file as upstreams; variables: ${NAME} in them
         ─▶ file_format: the members of gateway.yaml, checked
         ─▶ gateway_declaration: frozen values with every default filled in

The file is read completely at start; an error names the file, the line or the path in it, and how to fix it.
"""

from gateway_service.declaration.documents import DeclarationInvalid
from gateway_service.declaration.gateway_declaration import (
    GatewayDeclaration,
    InputRequestKind,
    SecretHeader,
    ToolRule,
    UpstreamDeclaration,
)
from gateway_service.declaration.loading import load_declaration
from gateway_service.declaration.rule_patterns import RulePatterns

__all__ = [
    "DeclarationInvalid",
    "GatewayDeclaration",
    "InputRequestKind",
    "RulePatterns",
    "SecretHeader",
    "ToolRule",
    "UpstreamDeclaration",
    "load_declaration",
]
