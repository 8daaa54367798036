"""Token verification, PII detection, encryption, `secure_tool` and the audit journal for MCP servers.

The names below are the public face. Each is imported from its room when it is first asked for: a program that only
looks for personal data loads neither cryptography nor a Redis client.
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

_ROOMS = {
    "EncryptionService": "encryption",
    "Identifier": "tool_policy",
    "PIIDetector": "pii",
    "get_encryption_service": "encryption",
    "get_pii_detector": "pii",
    "annotate_audit_event": "tool_policy",
    "secure_tool": "tool_policy",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
