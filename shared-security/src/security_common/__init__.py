"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers."""

from security_common.encryption import EncryptionService, get_encryption_service
from security_common.pii import PIIDetector, get_pii_detector

__all__ = ["EncryptionService", "PIIDetector", "get_encryption_service", "get_pii_detector"]
