"""The MCP tools: what each does, which scopes it needs, and how its errors read.

    guard (token, scopes per tool) ─▶ McpEndpoint (JSON or stream) ─▶ FastMCP ─▶ secure_tool (policy, audit) ─▶ the tool

    status      get_server_status                          sensitive   store, read, high_security_operation
    demo        create_test_token                          trials      test_pii_detection, test_encryption
    people      get_user_info                              trail       audit log and report
    drill       simulate_data_breach_detection              reading     resources and prompts

A tool is written where its subject is and registered in `server`. Its `secure_tool` says policy and scopes; the guard
and the lists read them from there.
"""

from mcp_resource_service.tools.mcp_endpoint import McpEndpoint
from mcp_resource_service.tools.mcp_server import LONG_TOOLS, ToolParts, build_mcp

__all__ = ["LONG_TOOLS", "McpEndpoint", "ToolParts", "build_mcp"]
