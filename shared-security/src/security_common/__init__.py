"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers."""

from security_common.pii import get_pii_detector

__all__ = ["get_pii_detector"]
