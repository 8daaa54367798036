"""What a team says about personal data, in one readable file: operators by kind and tool, an allow-list, patterns.

default = "mask"                          # pii.toml, named by SECURITY_PII_CONFIG_FILE
[kinds]
US_SSN = "reject"
[tools.send_mail.kinds]
EMAIL = "keep"
[allow]
values = ["support@example.com"]
[patterns.EMPLOYEE]
expression = "EMP-[0-9]{6}"
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from security_common.errors import SecurityError
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.normalization import normalize

__all__ = ["CustomPattern", "Operator", "PIIConfiguration", "PIIConfigurationError"]

OWN_SCORE = 0.8


class PIIConfigurationError(SecurityError):
    """The configuration says something that cannot be done."""

    error = "bad_protection"


class Operator(StrEnum):
    """What is done to one finding."""

    KEEP = "keep"
    MASK = "mask"
    REDACT = "redact"
    PSEUDONYM = "pseudonym"
    ENCRYPT = "encrypt"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class CustomPattern:
    """An expression of the team's own. RE2 runs it in linear time whatever it says; its findings are of kind CUSTOM."""

    name: str
    expression: Any


@dataclass(frozen=True, slots=True)
class PIIConfiguration:
    """Operators by kind, for every tool and for single ones; values that are nobody's secret; own patterns."""

    default: Operator | None = Operator.MASK
    kinds: Mapping[PIIKind, Operator] = field(default_factory=dict[PIIKind, Operator])
    tools: Mapping[str, "PIIConfiguration"] = field(default_factory=dict[str, "PIIConfiguration"])
    allowed_values: frozenset[str] = frozenset()
    patterns: tuple[CustomPattern, ...] = ()

    def operator(self, kind: PIIKind, tool: str = "", *, masks: bool = True) -> Operator | None:
        """The tool's word on the kind, else everybody's word on the kind, else the tool's default, else the default.

        How a value is written down is everybody's word for tools that mask only: another tool takes `keep` and
        `reject` from it, and None says that its policy decides.
        """
        own = self.tools.get(tool, PIIConfiguration(default=None))
        shared = self.kinds.get(kind)
        if not masks and shared not in {Operator.KEEP, Operator.REJECT}:
            shared = None
        return own.kinds.get(kind) or shared or own.default or (self.default if masks else None)

    def operators(self) -> set[Operator | None]:
        """Every operator that may be asked for."""
        return {self.default, *self.kinds.values()}.union(*(tool.operators() for tool in self.tools.values()))

    def find_custom(self, text: str) -> Iterator[Finding]:
        """What the own patterns find."""
        for pattern in self.patterns:
            for match in pattern.expression.finditer(text):
                start, end = match.span()
                yield Finding(PIIKind.CUSTOM, start, end, OWN_SCORE, f"pattern-{pattern.name}")

    def allows(self, written: str) -> bool:
        """True for a value that is nobody's secret, however it is spelled."""
        return normalize(written).text.casefold() in self.allowed_values
