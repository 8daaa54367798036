"""What happens to one leaf of data: it is searched, and then kept, replaced, encrypted or refused.

A leaf is a text, a number, a date or any other value without parts. The walks (`json_walk` and its subclasses) visit
the leaves, `policy` decides what happens to one, and `LeafProtector` does it. `ReplacementWriter` writes what takes the
place of each finding.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from security_common.encryption import ciphertext_spans
from security_common.pii import (
    FieldContext,
    Finding,
    Operator,
    PIIConfiguration,
    PIIKind,
    mask_finding,
    replace_until_clean,
)
from security_common.pii.masking import MASKED_NUMBER, is_json_number
from security_common.pii.normalization import normalize
from security_common.strict_json import WrittenNumber
from security_common.tool_policy.call_findings import CallFindings
from security_common.tool_policy.call_placeholders import WalkPlaceholders
from security_common.tool_policy.errors import UnsupportedValue
from security_common.tool_policy.policy import Treatment, decide_treatment
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

__all__ = ["CLIENT_RESPONSE", "LeafProtector", "ReplacementWriter"]

CLIENT_RESPONSE = "reply"
"""The part of a call that the client sends as a response to a request. Stored ciphertexts are bound to this name."""

_KINDS_WITH_DIGITS_ONLY = {PIIKind.PHONE, PIIKind.KR_RRN, PIIKind.CREDIT_CARD}

_ZERO_VALUES: dict[type, Any] = {
    int: 0,
    float: 0.0,
    WrittenNumber: 0.0,
    complex: 0j,
    Decimal: Decimal(0),
    Fraction: Fraction(0),
    date: date.min,
    time: time.min,
    timedelta: timedelta(0),
    uuid.UUID: uuid.UUID(int=0),
    IPv4Address: IPv4Address(0),
    IPv6Address: IPv6Address(0),
}


@dataclass(frozen=True, slots=True)
class ReplacementWriter:
    """The operators of one tool, and what they write in the place of a finding.

    `policy_operator` is used where the configuration names no operator for a kind; None means that the policy encrypts
    the whole text. `issuer` issued the token: equal values get different pseudonyms for different issuers.

    `for_messages` is True for progress, log messages, requests to the client (elicitation, sampling, roots) and error
    texts. There a ciphertext has no use and a refusal comes too late, so both operators are replaced by a mask.

    `kept_kinds` are not changed unless the configuration says so. The calls of a tool that have all of this in common
    share one writer.
    """

    configuration: PIIConfiguration
    tool: str
    issuer: str
    pseudonyms: KeyedPseudonyms | None
    policy_operator: Operator | None
    for_messages: bool = False
    kept_kinds: frozenset[PIIKind] = frozenset()
    _operators: dict[PIIKind, Operator | None] = field(
        default_factory=dict[PIIKind, Operator | None], init=False, repr=False, compare=False
    )

    def operator(self, kind: PIIKind) -> Operator | None:
        """The operator for findings of a kind, or None if the text as a whole is encrypted."""
        if kind not in self._operators:
            self._operators[kind] = self._find_operator(kind)
        return self._operators[kind]

    def _find_operator(self, kind: PIIKind) -> Operator | None:
        policy_operator = Operator.KEEP if kind in self.kept_kinds else self.policy_operator
        policy_masks = policy_operator is Operator.MASK
        operator = self.configuration.operator(kind, self.tool, masks=policy_masks) or policy_operator
        if self.for_messages and operator in {Operator.ENCRYPT, Operator.REJECT}:
            return Operator.MASK
        return operator

    def write(
        self, finding: Finding, value: str, encrypt: Callable[[str], str], placeholders: WalkPlaceholders | None
    ) -> str:
        """The text that replaces `value`. A value that is to be refused is masked: `SecuredCall` refuses the call.

        A number of a JSON fragment inside a longer text becomes 0 under every operator except `keep`, so that the JSON
        stays valid. In a text that is one JSON document, `JSONWalk` visits the number itself.
        """
        operator = self.operator(finding.kind)
        if operator is Operator.MASK:
            return mask_finding(finding, value)
        if is_json_number(finding) and operator is not Operator.KEEP:
            return MASKED_NUMBER
        match operator:
            case Operator.KEEP:
                return value
            case Operator.REDACT:
                return f"[{finding.kind}]"
            case Operator.PSEUDONYM if self.pseudonyms is not None:
                return self.pseudonyms.pseudonym(finding.kind, _canonical(finding.kind, value), issuer=self.issuer)
            case Operator.ENCRYPT:
                return encrypt(value)
            # A base64 text may contain several values, which one placeholder cannot replace: it is masked as a whole.
            case Operator.TOKENIZE if placeholders is not None and not finding.is_encoded:
                return placeholders.write(finding.kind, value)
            case _:
                return mask_finding(finding, value)


class LeafProtector:
    """Protects every leaf of one walk, such as that over the arguments of a call, and counts what it found.

    `call_part` is the name of the argument that is being walked, `result`, or CLIENT_RESPONSE. Findings are counted by
    part, and ciphertext is bound to it. `refused` counts those findings whose operator is `reject`. With `puts_back`,
    which is for arguments, the values of placeholders are put back where the tool may see them; `revealed` has the
    kind of each.
    """

    def __init__(
        self,
        call_findings: CallFindings,
        writer: ReplacementWriter,
        encrypt: Callable[[str, str], str],
        is_own_ciphertext: Callable[[str], bool],
        *,
        placeholders: WalkPlaceholders | None = None,
        encrypt_all: bool = False,
        puts_back: bool = False,
    ) -> None:
        """`encrypt` takes a part of the call and a text."""
        self.call_part = "result"
        self.kinds: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.treatments: set[Treatment] = set()
        self.encrypt_all = encrypt_all
        self.revealed: list[str] = []
        self._placeholders = placeholders
        self._puts_back = puts_back
        self._call_findings = call_findings
        self._writer = writer
        self._encrypt_for_call_part = encrypt
        self._is_own_ciphertext = is_own_ciphertext

    def protect_text(self, text: str, context: FieldContext | None) -> str:
        """The text as it may be passed on; `context` is the field that it is in."""
        is_clean = self._call_findings.is_clean(text, context)
        if is_clean and self._placeholders is None and not self.encrypt_all:
            return text
        return self._protect(text, context, encrypt_all=self.encrypt_all, is_clean=is_clean)

    def protect_key(self, key: str) -> str:
        """The key of a mapping as it may be passed on. `encrypt_all` does not apply to keys."""
        is_clean = self._call_findings.is_clean(key, None)
        if is_clean and self._placeholders is None:
            return key
        return self._protect(key, None, encrypt_all=False, is_clean=is_clean)

    def protect_scalar(self, value: Any, text: str, context: FieldContext | None) -> Any:
        """A leaf that is not a string, such as a number or a date. `text` is what is searched.

        What it becomes depends on its treatment:

        - REPLACE, for every operator of the configuration: the zero of its type, which is part of the tool's contract
        - TOKENIZE, for a tool with the policy `tokenize`: a placeholder, as text
        - ENCRYPT, for a tool with the policy `encrypt`: a ciphertext, as text

        Raises UnsupportedValue for a type without a zero.
        """
        is_clean = self._call_findings.is_clean(text, context)
        if is_clean and self._placeholders is None:
            return value
        treatment, findings = self._examine(text, context, encrypt_all=False, is_clean=is_clean)
        if treatment is Treatment.REPLACE:
            return _zero_of(value)
        if treatment is Treatment.TOKENIZE:
            return self._replace(text, findings, context)
        return self._encrypt(str(value)) if treatment is Treatment.ENCRYPT else value

    def require_clean(self, text: str, context: FieldContext | None) -> None:
        """Checks text inside a value that cannot be changed, such as an image.

        Raises UnsupportedValue if the text would have to be changed.
        """
        is_clean = self._call_findings.is_clean(text, context)
        treatment, _ = self._examine(text, context, encrypt_all=False, is_clean=is_clean)
        if treatment in {Treatment.REPLACE, Treatment.TOKENIZE, Treatment.ENCRYPT}:
            raise UnsupportedValue("binary content contains personal data", hint="send it as text")

    def require_placeholders(self) -> None:
        """Raises PlaceholdersMissing if the walk needs placeholders that have not been looked up yet."""
        if self._placeholders:
            self._placeholders.require_all()

    def _protect(self, text: str, context: FieldContext | None, *, encrypt_all: bool, is_clean: bool) -> str:
        treatment, findings = self._examine(text, context, encrypt_all=encrypt_all, is_clean=is_clean)
        if treatment is Treatment.ENCRYPT:
            return self._encrypt(text)
        if treatment in {Treatment.REPLACE, Treatment.TOKENIZE}:
            text = self._replace(text, findings, context)
        return self._put_back(text, self._placeholders) if self._puts_back and self._placeholders else text

    def _put_back(self, text: str, placeholders: WalkPlaceholders) -> str:
        changed, revealed = placeholders.put_back(text)
        if revealed:
            self.treatments.add(Treatment.TOKENIZE)
            self.kinds.setdefault(self.call_part, Counter()).update(revealed)
            self.revealed += revealed.elements()
        return changed

    def _examine(
        self, text: str, context: FieldContext | None, *, encrypt_all: bool, is_clean: bool
    ) -> tuple[Treatment, Sequence[Finding]]:
        """What is to be done with the text, and what was found in it. Counts the findings.

        `is_clean` is whether the text is remembered as one without personal data.
        """
        findings = self._find(text, context, is_clean=is_clean)
        if not findings and not encrypt_all:
            return Treatment.KEEP, ()
        operators = {self._writer.operator(finding.kind) for finding in findings}
        # A text that is a ciphertext of ours as a whole is not encrypted twice.
        is_ciphertext = encrypt_all and self._own_ciphertexts(text) == [(0, len(text))]
        treatment = decide_treatment(operators, encrypt_all=encrypt_all and not is_ciphertext)
        if findings:
            self._count(self.kinds, findings)
        if Operator.REJECT in operators:
            refused = [each for each in findings if self._writer.operator(each.kind) is Operator.REJECT]
            self._count(self.refused, refused)
        if treatment is not Treatment.KEEP:
            self.treatments.add(treatment)
        return treatment, findings

    def _find(self, text: str, context: FieldContext | None, *, is_clean: bool) -> Sequence[Finding]:
        findings = () if is_clean else self._find_detected(text, context)
        return self._placeholders.add_revealed_values(findings, text) if self._placeholders else findings

    def _find_detected(self, text: str, context: FieldContext | None) -> Sequence[Finding]:
        findings = self._call_findings.find(text, context)
        ciphertexts = self._own_ciphertexts(text) if findings else []
        if not ciphertexts:
            return findings
        # Part of a ciphertext may look like a number or a secret, but it is not personal data.
        return [
            finding
            for finding in findings
            if not any(start <= finding.start and finding.end <= end for start, end in ciphertexts)
        ]

    def _own_ciphertexts(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each ciphertext that was made with our own keys.

        Text that only has the shape of ciphertext is searched.
        """
        return [(start, end) for start, end in ciphertext_spans(text) if self._is_own_ciphertext(text[start:end])]

    def _replace(self, text: str, findings: Sequence[Finding], context: FieldContext | None) -> str:
        def find(searched: str) -> Sequence[Finding]:
            return self._find(searched, context, is_clean=self._call_findings.is_clean(searched, context))

        def replace(finding: Finding, value: str) -> str:
            return self._writer.write(finding, value, self._encrypt, self._placeholders)

        return replace_until_clean(text, findings, find, replace)

    def _encrypt(self, text: str) -> str:
        return self._encrypt_for_call_part(self.call_part, text)

    def _count(self, counts: dict[str, Counter[str]], findings: Iterable[Finding]) -> None:
        part_counts = counts.get(self.call_part)
        if part_counts is None:
            part_counts = counts[self.call_part] = Counter()
        for finding in findings:
            part_counts[str(finding.kind)] += 1


def _canonical(kind: PIIKind, value: str) -> str:
    """One spelling for equal values: of 010-1234-5678 and 01012345678, and of an e-mail address in capitals."""
    plain = normalize(value).text.casefold()
    return "".join(filter(str.isdigit, plain)) if kind in _KINDS_WITH_DIGITS_ONLY else plain


def _zero_of(value: Any) -> Any:
    """The value of the same type that contains no information. Raises UnsupportedValue."""
    if isinstance(value, datetime):
        return datetime.min.replace(tzinfo=value.tzinfo)
    for base in type(value).__mro__:
        if base in _ZERO_VALUES:
            return _ZERO_VALUES[base]
    raise UnsupportedValue(
        f"a {type(value).__name__} contains personal data and cannot be masked", hint="send it as text"
    )
