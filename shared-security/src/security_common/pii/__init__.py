"""Personal data, found and masked: fold, gate, candidates, context, findings."""

from security_common.pii.detector import PIIDetector, get_pii_detector
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.masking import mask_findings

__all__ = ["Finding", "PIIDetector", "PIIKind", "get_pii_detector", "mask_findings"]
