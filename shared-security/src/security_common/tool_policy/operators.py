"""What each operator writes in the place of a finding."""

from collections.abc import Callable
from dataclasses import dataclass

from security_common.pii import Finding, Operator, PIIConfiguration, PIIKind, mask_finding
from security_common.pii.normalization import normalize
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

__all__ = ["ReplacementWriter"]

_NUMBERS = {PIIKind.PHONE, PIIKind.KR_RRN, PIIKind.CREDIT_CARD}


@dataclass(frozen=True, slots=True)
class ReplacementWriter:
    """One tool's operators for one tenant, whose pseudonyms differ from every other tenant's.

    `usual` is what the tool's policy does where the configuration says nothing. `message` is true for what is said
    outside arguments and result: a ciphertext there helps nobody and a refusal comes too late, so both become masks.
    """

    protection: PIIConfiguration
    tool: str
    tenant: str
    pseudonyms: KeyedPseudonyms | None
    usual: Operator | None
    message: bool = False

    def operator(self, kind: PIIKind) -> Operator | None:
        """What is done to findings of a kind; None where the text as a whole is encrypted."""
        operator = self.protection.operator(kind, self.tool, masks=self.usual is Operator.MASK) or self.usual
        return Operator.MASK if self.message and operator in {Operator.ENCRYPT, Operator.REJECT} else operator

    def write(self, finding: Finding, written: str, encrypt: Callable[[str], str]) -> str:
        """What stands in place of `written`. A value to be refused is masked: the refusal is the caller's."""
        match self.operator(finding.kind):
            case Operator.KEEP:
                return written
            case Operator.REDACT:
                return f"[{finding.kind}]"
            case Operator.PSEUDONYM if self.pseudonyms is not None:
                return self.pseudonyms.pseudonym(finding.kind, _canonical(finding, written), tenant=self.tenant)
            case Operator.ENCRYPT:
                return encrypt(written)
            case _:
                return mask_finding(finding, written)


def _canonical(finding: Finding, written: str) -> str:
    """010-1234-5678 and 01012345678 are one value, and so are two spellings of an e-mail address."""
    plain = normalize(written).text.casefold()
    return "".join(filter(str.isdigit, plain)) if finding.kind in _NUMBERS else plain
