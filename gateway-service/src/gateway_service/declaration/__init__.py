"""The file that declares the upstreams: gateway.yaml, or a JSON file with `mcpServers` (or `servers`, as in VS Code).

    file ─▶ documents: YAML or JSON, with the line of each member
         ─▶ mcp_servers: entries of an mcpServers file as upstreams; variables: ${NAME} in them
         ─▶ file_format: the members of gateway.yaml, checked
         ─▶ programs: upstreams that are programs, with their limits
         ─▶ gateway_declaration: frozen values with every default filled in

The file is read completely at start; an error names the file, the line or the path in it, and how to fix it.
"""

from gateway_service.declaration.documents import DeclarationInvalid
from gateway_service.declaration.gateway_declaration import (
    GatewayDeclaration,
    InputRequestKind,
    ToolRule,
    UpstreamDeclaration,
)
from gateway_service.declaration.loading import load_declaration
from gateway_service.declaration.program_declaration import ProgramDeclaration
from gateway_service.declaration.rule_patterns import RulePatterns
from gateway_service.declaration.upstream_credentials import (
    ClientCredentials,
    OAuthClient,
    SecretHeader,
    TokenExchange,
    TokenTarget,
    credential_file,
)

__all__ = [
    "ClientCredentials",
    "DeclarationInvalid",
    "GatewayDeclaration",
    "InputRequestKind",
    "OAuthClient",
    "ProgramDeclaration",
    "RulePatterns",
    "SecretHeader",
    "TokenExchange",
    "TokenTarget",
    "ToolRule",
    "UpstreamDeclaration",
    "credential_file",
    "load_declaration",
]
