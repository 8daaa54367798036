"""The scopes this service knows: what anyone needs, what reading back in clear needs, what everybody's trail needs."""

__all__ = ["ACCESS_SCOPE", "AUDIT_SCOPE", "DECRYPT_SCOPE"]

ACCESS_SCOPE = "mcp.access"
DECRYPT_SCOPE = "mcp.decrypt"
AUDIT_SCOPE = "mcp.audit"
