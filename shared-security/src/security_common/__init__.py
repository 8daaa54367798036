"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers.

The names below are the public interface. A name is imported when it is first used, so that a program that only detects
personal data loads neither cryptography nor the Redis client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from security_common.encryption import EncryptionService, get_encryption_service
    from security_common.pii import PIIDetector, get_pii_detector
    from security_common.tool_policy import Identifier, annotate_audit_event, secure_tool

__all__ = [
    "EncryptionService",
    "Identifier",
    "PIIDetector",
    "annotate_audit_event",
    "get_encryption_service",
    "get_pii_detector",
    "secure_tool",
]

_PACKAGES = {
    "EncryptionService": "encryption",
    "Identifier": "tool_policy",
    "PIIDetector": "pii",
    "annotate_audit_event": "tool_policy",
    "get_encryption_service": "encryption",
    "get_pii_detector": "pii",
    "secure_tool": "tool_policy",
}


def __getattr__(name: str) -> Any:
    if name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PACKAGES[name]}"), name)
