"""Protects MCP servers that already exist: OAuth in front, a policy for personal data, and an audit trail."""
