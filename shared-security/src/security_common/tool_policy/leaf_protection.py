"""One leaf of data: looked at, then kept, masked, encrypted or counted."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from security_common.encryption import ciphertext_spans
from security_common.pii import Finding, Operator, PIIDetector, replace_until_clean
from security_common.tool_policy.errors import UnsupportedValue
from security_common.tool_policy.operators import ReplacementWriter
from security_common.tool_policy.policy import Treatment, treat_leaf

__all__ = ["LeafProtector"]

CLEAN_KEPT, LONGEST_KEPT = 4096, 64

_ZEROS: dict[type, Any] = {
    type(zero): zero
    for zero in (0, 0.0, 0j, Decimal(0), Fraction(0), date.min, time.min, timedelta(0), uuid.UUID(int=0))
} | {IPv4Address: IPv4Address(0), IPv6Address: IPv6Address(0)}


class LeafProtector:
    """The treatment of every leaf on one side of a call; counts what it finds and remembers what it did.

    `part` is the argument being walked, or `result`: findings are counted by it and ciphertext is bound to it.
    `refused` are those of `kinds` that the policy, or the operator of a kind, does not take.
    """

    def __init__(
        self,
        detector: PIIDetector,
        writer: ReplacementWriter,
        encrypt: Callable[[str, str], str],
        recognizes: Callable[[str], bool],
        *,
        clean: set[tuple[str, str | None]],
        encrypt_all: bool = False,
    ) -> None:
        """`encrypt` takes a part and a text, `recognizes` a ciphertext; `clean` remembers short texts."""
        self.part = "result"
        self.kinds: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.treatments: set[Treatment] = set()
        self._detector = detector
        self._writer = writer
        self._encrypt_part = encrypt
        self._recognizes = recognizes
        self._clean = clean
        self.encrypt_all = encrypt_all

    def text(self, text: str, field: str | None) -> str:
        """A string leaf."""
        return self._treat(text, field, encrypt_all=self.encrypt_all)

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
        return self._encrypt(str(value)) if treatment is Treatment.ENCRYPT else value

    def opaque(self, text: str, field: str | None) -> None:
        """Text inside a value that cannot be changed, such as an image: clean it passes, otherwise it is refused."""
        treatment = self._judge(text, field, encrypt_all=False)[0]
        if treatment in {Treatment.MASK, Treatment.ENCRYPT}:
            raise UnsupportedValue("binary content holds personal data", hint="send it as text")

    def _treat(self, text: str, field: str | None, *, encrypt_all: bool) -> str:
        treatment, findings = self._judge(text, field, encrypt_all=encrypt_all)
        if treatment is Treatment.ENCRYPT:
            return self._encrypt(text)
        return self._mask(text, findings, field) if treatment is Treatment.MASK else text

    def _judge(self, text: str, field: str | None, *, encrypt_all: bool) -> tuple[Treatment, Sequence[Finding]]:
        findings = self._find(text, field)
        operators = {found.kind: self._writer.operator(found.kind) for found in findings}
        encrypt_all = encrypt_all and self._sealed(text) != [(0, len(text))]
        treatment = treat_leaf(set(operators.values()), encrypt_all=encrypt_all)
        _count(self.kinds, self.part, findings)
        _count(self.refused, self.part, [one for one in findings if operators[one.kind] is Operator.REJECT])
        if treatment is not Treatment.KEEP:
            self.treatments.add(treatment)
        return treatment, findings

    def _find(self, text: str, field: str | None) -> Sequence[Finding]:
        """Keys, states and other short words repeat from call to call: the clean ones are remembered."""
        if (text, field) in self._clean:
            return ()
        findings = self._detector.scan_text(text, field_name=field)
        if findings and (sealed := self._sealed(text)):
            # Ciphertext is no personal data, however much a stretch of it may look like a number or a secret.
            return [found for found in findings if not any(a <= found.start and found.end <= b for a, b in sealed)]
        if not findings and len(text) <= LONGEST_KEPT:
            if len(self._clean) >= CLEAN_KEPT:
                self._clean.clear()
            self._clean.add((text, field))
        return findings

    def _sealed(self, text: str) -> list[tuple[int, int]]:
        """Where ciphertext of ours stands: what only has its shape is read like any text."""
        return [(start, end) for start, end in ciphertext_spans(text) if self._recognizes(text[start:end])]

    def _mask(self, text: str, findings: Sequence[Finding], field: str | None) -> str:
        def find(seen: str) -> Sequence[Finding]:
            return findings if seen is text else self._find(seen, field)

        return replace_until_clean(text, find, lambda one, written: self._writer.write(one, written, self._encrypt))

    def _encrypt(self, text: str) -> str:
        return self._encrypt_part(self.part, text)


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
    raise UnsupportedValue(f"a {type(value).__name__} holds personal data and cannot be masked", hint="send it as text")
