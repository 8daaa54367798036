"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers."""
