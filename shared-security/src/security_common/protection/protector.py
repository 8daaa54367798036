"""Scans a text and does to every finding what the configuration says for its kind and the calling tool."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from security_common.pii import Finding, PIIDetector, PIIKind, mask_finding, replace_findings
from security_common.protection.configuration import Operator, Protection
from security_common.protection.errors import BadProtection, PersonalDataRejected
from security_common.protection.pseudonyms import PseudonymKey
from security_common.spelling import fold

__all__ = ["Protected", "Protector"]

Encrypt = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Protected:
    """The text after protection, and what was found in it before."""

    text: str
    findings: tuple[Finding, ...]


class Protector:
    """Applies one configuration. `pseudonyms` and `encrypt` are needed only where an operator asks for them."""

    def __init__(
        self,
        protection: Protection,
        detector: PIIDetector,
        *,
        pseudonyms: PseudonymKey | None = None,
        encrypt: Encrypt | None = None,
    ) -> None:
        self._protection = protection
        self._detector = detector
        self._pseudonyms = pseudonyms
        self._encrypt = encrypt

    def scan_text(self, text: str, *, field_name: str | None = None) -> list[Finding]:
        """What the detector and the own patterns find, without the allowed values."""
        found = self._detector.scan_text(text, field_name=field_name)
        found += [one for one in self._find_own(text) if not any(_overlap(one, other) for other in found)]
        return sorted((one for one in found if not self._allowed(text, one)), key=lambda one: one.start)

    def protect(
        self, text: str, *, tool: str | None = None, field_name: str | None = None, tenant: str = ""
    ) -> Protected:
        """The protected text. Raises `PersonalDataRejected` before anything is changed."""
        findings = self.scan_text(text, field_name=field_name)
        operators = {kind: self._protection.operator(kind, tool) for kind in {one.kind for one in findings}}
        if refused := [kind for kind, operator in operators.items() if operator is Operator.REJECT]:
            raise PersonalDataRejected(refused)
        done = replace_findings(text, findings, lambda one, value: self._treat(operators, one, value, tenant))
        return Protected(done, tuple(findings))

    def _treat(self, operators: Mapping[PIIKind, Operator], finding: Finding, written: str, tenant: str) -> str:
        match operators[finding.kind]:
            case Operator.KEEP:
                return written
            case Operator.REDACT:
                return f"[{finding.kind}]"
            case Operator.PSEUDONYM if self._pseudonyms is not None:
                return self._pseudonyms.pseudonym(finding.kind, _canonical(finding, written), tenant=tenant)
            case Operator.ENCRYPT if self._encrypt is not None:
                return self._encrypt(written)
            case Operator.PSEUDONYM | Operator.ENCRYPT as operator:
                raise BadProtection(f"{operator} has no key", hint="give the protector its key, or use mask")
            case _:
                return mask_finding(finding, written)

    def _find_own(self, text: str) -> Iterator[Finding]:
        for pattern in self._protection.patterns:
            for match in pattern.expression.finditer(text):
                start, end = match.span()
                yield Finding(PIIKind.CUSTOM, start, end, 0.8, f"pattern-{pattern.name}")

    def _allowed(self, text: str, finding: Finding) -> bool:
        return fold(text[finding.start : finding.end]).text.casefold() in self._protection.allowed_values


def _overlap(one: Finding, other: Finding) -> bool:
    return one.start < other.end and other.start < one.end


def _canonical(finding: Finding, written: str) -> str:
    """010-1234-5678 and 01012345678 are one value, and so are two spellings of an e-mail address."""
    plain = fold(written).text.casefold()
    digits = "".join(filter(str.isdigit, plain))
    return digits if finding.kind in {PIIKind.PHONE, PIIKind.KR_RRN, PIIKind.CREDIT_CARD} else plain
