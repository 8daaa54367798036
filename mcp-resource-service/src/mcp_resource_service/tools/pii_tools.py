"""Trying out the protections: what is found in a text and how it is masked; an encryption round trip."""

from collections import Counter
from typing import Annotated

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.tools.caller import calling
from security_common.encryption import DecryptionFailed, EncryptionService
from security_common.pii import PIIDetector
from security_common.tool_policy import secure_tool

__all__ = ["register"]


class FindingInfo(TypedDict):
    """One finding; start and end are offsets in characters."""

    kind: str
    start: int
    end: int
    score: float


class DetectionReport(TypedDict):
    """What a scan found."""

    contains_pii: bool
    counts: dict[str, int]
    findings: list[FindingInfo]
    masked_text: str


class EncryptionReport(TypedDict):
    """How an encryption round trip went."""

    ciphertext: str
    round_trip: bool
    bound_to_you: bool


def register(mcp: FastMCP, detector: PIIDetector, encryption: EncryptionService) -> None:
    """Adds `test_pii_detection` and `test_encryption`."""

    @mcp.tool(
        title="Try PII detection · 개인정보 탐지 시험",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe")
    async def test_pii_detection(
        text: Annotated[
            str,
            Field(description="Text to scan, in Korean or English. 검사할 텍스트.", min_length=1, max_length=50_000),
        ],
    ) -> DetectionReport:
        """Scan a text for personal data: kinds, positions, and the text as it looks masked.

        Nothing is stored. 텍스트에서 개인정보를 찾아 종류, 위치, 마스킹 결과를 보여 줍니다. 저장하지 않습니다.
        """
        findings = detector.scan_text(text)
        return {
            "contains_pii": bool(findings),
            "counts": dict(Counter(str(finding.kind) for finding in findings)),
            "findings": [
                {"kind": str(found.kind), "start": found.start, "end": found.end, "score": found.score}
                for found in findings
            ],
            "masked_text": detector.mask_text(text),
        }

    @mcp.tool(
        title="Try encryption · 암호화 시험",
        annotations={"readOnlyHint": True, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe")
    async def test_encryption(
        text: Annotated[str, Field(description="Text to encrypt. 암호화할 텍스트.", min_length=1, max_length=65_536)],
    ) -> EncryptionReport:
        """Encrypt a text, decrypt it again, and show that nobody else's context opens it.

        Nothing is stored. 텍스트를 암호화하고 다시 복호화하여 확인하며, 다른 맥락에서는 열리지 않음을 보여 줍니다.
        """
        token = calling().token
        mine = {"trial": "test_encryption", "issuer": token.issuer, "subject": token.subject}
        ciphertext = encryption.encrypt(text, context=mine)
        try:
            encryption.decrypt(ciphertext, context=mine | {"subject": f"not {token.subject}"})
        except DecryptionFailed:
            bound = True
        else:
            bound = False
        return {
            "ciphertext": ciphertext,
            "round_trip": encryption.decrypt(ciphertext, context=mine) == text,
            "bound_to_you": bound,
        }
