"""The tools that show what the detector finds in a text, and that encryption works."""

from collections import Counter
from typing import Annotated

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.tools.caller import verified_caller
from security_common.encryption import DecryptionFailed, EncryptionService
from security_common.pii import PIIDetector
from security_common.tool_policy import bind_field, owner_of, secure_tool

__all__ = ["register"]


class FindingInfo(TypedDict):
    """One finding; `start` and `end` are offsets in characters."""

    kind: str
    start: int
    end: int
    score: float


class DetectionReport(TypedDict):
    """The findings in a text, and the masked text."""

    contains_pii: bool
    counts: dict[str, int]
    findings: list[FindingInfo]
    masked_text: str


class EncryptionReport(TypedDict):
    """The result of encrypting and decrypting a text.

    `round_trip`: decryption returned the original text. `bound_to_you`: another subject's binding cannot decrypt it.
    """

    ciphertext: str
    round_trip: bool
    bound_to_you: bool


def register(mcp: FastMCP, detector: PIIDetector, encryption: EncryptionService) -> None:
    """Adds `test_pii_detection` and `test_encryption`."""

    @mcp.tool(
        title="Test PII detection · 개인정보 탐지 테스트",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe", scopes=[ACCESS_SCOPE])
    def test_pii_detection(  # not asynchronous: FastMCP runs it in a thread, because a long text takes a while
        text: Annotated[
            str,
            Field(description="Text to scan, in Korean or English. 검사할 텍스트.", min_length=1, max_length=50_000),
        ],
    ) -> DetectionReport:
        """Scan a text for personal data. Returns the kinds, their positions, and the masked text.

        Nothing is stored. 텍스트에서 개인정보를 찾아 종류, 위치, 마스킹 결과를 보여 줍니다. 저장하지 않습니다.
        """
        findings = detector.scan_text(text)
        return {
            "contains_pii": bool(findings),
            "counts": dict(Counter(str(finding.kind) for finding in findings)),
            "findings": [
                {"kind": str(finding.kind), "start": finding.start, "end": finding.end, "score": finding.score}
                for finding in findings
            ],
            "masked_text": detector.mask_text(text),
        }

    @mcp.tool(
        title="Test encryption · 암호화 테스트",
        annotations={"readOnlyHint": True, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe", scopes=[ACCESS_SCOPE])
    async def test_encryption(
        text: Annotated[str, Field(description="Text to encrypt. 암호화할 텍스트.", min_length=1, max_length=65_536)],
    ) -> EncryptionReport:
        """Encrypt a text, decrypt it again, and check that another user's binding cannot decrypt it.

        Nothing is stored. 텍스트를 암호화했다가 복호화하고, 다른 사용자의 컨텍스트로는 복호화되지 않음을 보입니다.
        """
        token = verified_caller().token
        owner, other = owner_of(token.issuer, token.subject), owner_of(token.issuer, f"not {token.subject}")
        own_binding = bind_field(owner=owner, tool="test_encryption", name="text")
        other_binding = bind_field(owner=other, tool="test_encryption", name="text")
        ciphertext = encryption.encrypt(text, context=own_binding)
        try:
            encryption.decrypt(ciphertext, context=other_binding)
        except DecryptionFailed:
            bound = True
        else:
            bound = False
        return {
            "ciphertext": ciphertext,
            "round_trip": encryption.decrypt(ciphertext, context=own_binding) == text,
            "bound_to_you": bound,
        }
