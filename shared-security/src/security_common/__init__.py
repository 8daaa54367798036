"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers."""

from security_common.encryption import EncryptionService, get_encryption_service
from security_common.pii import PIIDetector, get_pii_detector
from security_common.tool_policy import Identifier, secure_tool

__all__ = [
    "EncryptionService",
    "Identifier",
    "PIIDetector",
    "get_encryption_service",
    "get_pii_detector",
    "secure_tool",
]
