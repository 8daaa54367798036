"""Personal data, found and masked.

    text ─▶ normalize ─▶ gate: which rules can find anything? ─▶ rules ─▶ candidates ─▶ settle ─▶ findings ─▶ masks
            (normalization)                        │
                                   checks (digits, dates), labels beside the value, lists of names and places (data/)

`configuration` is what a team says of its own: values that are let through, patterns, and operators by kind and tool.
A finding is a kind, a place, a score and a reason, never the value. Formats: ITU-T E.164, ISO/IEC 7812-1, ISO 13616,
RFC 4291, RFC 5321, and what Korean authorities publish on their numbers.
"""

from security_common.pii.configuration import Operator, PIIConfiguration, PIIConfigurationError
from security_common.pii.detector import PIIDetector, get_pii_detector, open_pii_detector
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.masking import mask_finding, replace_until_clean

__all__ = [
    "Finding",
    "Operator",
    "PIIConfiguration",
    "PIIConfigurationError",
    "PIIDetector",
    "PIIKind",
    "get_pii_detector",
    "mask_finding",
    "open_pii_detector",
    "replace_until_clean",
]
