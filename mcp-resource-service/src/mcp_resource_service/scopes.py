"""The OAuth scopes of this service.

mcp.access   every request: `/`, `/hello` and `/mcp`, with every tool
mcp.decrypt  reading stored data back in plaintext
mcp.audit    everyone's audit trail: the tools with `whose=everyone`, and the audit page
"""

__all__ = ["ACCESS_SCOPE", "AUDIT_SCOPE", "DECRYPT_SCOPE", "REQUESTABLE_SCOPES"]

ACCESS_SCOPE = "mcp.access"
DECRYPT_SCOPE = "mcp.decrypt"
AUDIT_SCOPE = "mcp.audit"

# A client may request these for any user. Tools that need them are listed before the client has them, because the
# 403 response to a call is what starts the step-up.
REQUESTABLE_SCOPES = frozenset({ACCESS_SCOPE, DECRYPT_SCOPE})
