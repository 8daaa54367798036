"""The MCP tools, resources and prompts.

    guard (token, scopes of the tool) ─▶ McpEndpoint (JSON or stream) ─▶ FastMCP ─▶ secure_tool (policy, audit) ─▶ tool

    server_status      get_server_status
    user_info          get_user_info
    sensitive_data     store_sensitive_data, read_sensitive_data, high_security_operation
    pii_tools          test_pii_detection, test_encryption
    audit_tools        get_security_audit_log, generate_security_report
    breach_simulation  simulate_data_breach_detection
    demo_token         create_test_token, in demo mode only
    messages           send_message, in demo mode only
    mcp_resources      resources and prompts

`secure_tool` declares the policy and the scopes of each tool: `scopes=[...]`, and `argument_scopes=[...]` where a scope
depends on an argument. `mcp_server` collects the scopes in the table that the guard checks. No other place decides.
"""

from mcp_resource_service.tools.mcp_endpoint import McpEndpoint
from mcp_resource_service.tools.mcp_server import LONG_TOOLS, ToolDependencies, build_mcp

__all__ = ["LONG_TOOLS", "McpEndpoint", "ToolDependencies", "build_mcp"]
