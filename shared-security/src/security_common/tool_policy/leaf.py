"""One leaf of data: looked at, then kept, masked, encrypted or counted."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from security_common.encryption import ciphertext_spans, is_ciphertext
from security_common.pii import Finding, Operator, PIIDetector, replace_findings
from security_common.protection import Writer
from security_common.tool_policy.errors import Unguardable
from security_common.tool_policy.policy import PIIPolicy, Treatment, treat_leaf

__all__ = ["Leaves"]

MASKING_ROUNDS = 4
CLEAN_KEPT, LONGEST_KEPT = 4096, 64

_ZEROS: dict[type, Any] = {
    int: 0,
    float: 0.0,
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


class Leaves:
    """The treatment of every leaf on one side of a call; counts what it finds and remembers what it did.

    `part` is the argument being walked, or `result`: findings are counted by it and ciphertext is bound to it.
    `refused` are those of `kinds` that the policy, or the operator of a kind, does not take.
    """

    def __init__(
        self,
        policy: PIIPolicy,
        detector: PIIDetector,
        writer: Writer,
        encrypt: Callable[[str, str], str],
        *,
        clean: set[tuple[str, str | None]],
        encrypt_all: bool = False,
    ) -> None:
        """`encrypt` takes a part and a text. `clean` remembers short texts in which nothing was found."""
        self.part = "result"
        self.kinds: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.treatments: set[Treatment] = set()
        self._policy = policy
        self._detector = detector
        self._writer = writer
        self._encrypt = encrypt
        self._clean = clean
        self._encrypt_all = encrypt_all

    def text(self, text: str, field: str | None) -> str:
        """A string leaf."""
        return self._treat(text, field, encrypt_all=self._encrypt_all)

    def name(self, text: str) -> str:
        """A key of a mapping."""
        return self._treat(text, None, encrypt_all=False)

    def scalar(self, value: Any, text: str, field: str | None) -> Any:
        """A leaf that is no string, such as a number or a date, with the text to search.

        Masked, it becomes the zero of its type: the type is part of the tool's contract. Encrypted, it becomes text.
        """
        treatment = self._judge(text, field, encrypt_all=False)[0]
        if treatment is Treatment.MASK:
            return zero_of(value)
        return self._encrypt(self.part, str(value)) if treatment is Treatment.ENCRYPT else value

    def opaque(self, text: str, field: str | None) -> None:
        """Text inside a value that cannot be changed, such as an image: clean it passes, otherwise it is refused."""
        treatment = self._judge(text, field, encrypt_all=False)[0]
        if treatment in {Treatment.MASK, Treatment.ENCRYPT}:
            raise Unguardable("binary content holds personal data", hint="send it as text")

    def _treat(self, text: str, field: str | None, *, encrypt_all: bool) -> str:
        treatment, findings = self._judge(text, field, encrypt_all=encrypt_all)
        if treatment is Treatment.ENCRYPT:
            return self._encrypt(self.part, text)
        return self._mask(text, findings, field) if treatment is Treatment.MASK else text

    def _judge(self, text: str, field: str | None, *, encrypt_all: bool) -> tuple[Treatment, Sequence[Finding]]:
        findings = self._find(text, field)
        if findings:
            _count(self.kinds, self.part, findings)
        elif encrypt_all and is_ciphertext(text):
            encrypt_all = False
        treatment = treat_leaf(self._policy, personal=bool(findings), encrypt_all=encrypt_all)
        if treatment is Treatment.REFUSE:
            _count(self.refused, self.part, findings)
        elif treatment is Treatment.MASK:
            operators = {found.kind: self._writer.operator(found.kind) for found in findings}
            _count(self.refused, self.part, [one for one in findings if operators[one.kind] is Operator.REJECT])
            if set(operators.values()) == {Operator.KEEP}:
                treatment = Treatment.OBSERVE
        if treatment is not Treatment.KEEP:
            self.treatments.add(treatment)
        return treatment, findings

    def _find(self, text: str, field: str | None) -> Sequence[Finding]:
        """Keys, states and other short words repeat from call to call: the clean ones are remembered."""
        if (text, field) in self._clean:
            return ()
        findings = self._detector.scan_text(text, field_name=field)
        if findings and (sealed := list(ciphertext_spans(text))):
            # Ciphertext is no personal data, however much a stretch of it may look like a number or a secret.
            return [found for found in findings if not any(a <= found.start and found.end <= b for a, b in sealed)]
        if not findings and len(text) <= LONGEST_KEPT:
            if len(self._clean) >= CLEAN_KEPT:
                self._clean.clear()
            self._clean.add((text, field))
        return findings

    def _mask(self, text: str, findings: Sequence[Finding], field: str | None) -> str:
        """Applies the operators until a further pass would change nothing: a mask may bring a neighbour into view."""

        def write(finding: Finding, written: str) -> str:
            return self._writer.write(finding, written, lambda text: self._encrypt(self.part, text))

        for _ in range(MASKING_ROUNDS):
            masked = replace_findings(text, findings, write)
            findings = self._find(masked, field)
            if masked == text or not findings:
                return masked
            text = masked
        return "***"


def _count(counts: dict[str, Counter[str]], part: str, findings: Iterable[Finding]) -> None:
    if kinds := [str(found.kind) for found in findings]:
        counts.setdefault(part, Counter()).update(kinds)


def zero_of(value: Any) -> Any:
    """The value of the same type that tells nothing."""
    if isinstance(value, datetime):
        return datetime.min.replace(tzinfo=value.tzinfo)
    for kind in type(value).__mro__:
        if kind in _ZEROS:
            return _ZEROS[kind]
    raise Unguardable(f"a {type(value).__name__} holds personal data and cannot be masked", hint="send it as text")
