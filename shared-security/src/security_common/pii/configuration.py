"""The configuration of a team: operators by kind and tool, allowed values, custom patterns.

default = "mask"                          # pii.toml, the file that SECURITY_PII_CONFIG_FILE names
national_ids = ["JP", "CN"]               # numbers of these countries only; the default is all
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
from security_common.pii.national_ids import COUNTRIES
from security_common.pii.normalization import normalize

__all__ = ["CustomPattern", "Operator", "PIIConfiguration", "PIIConfigurationError"]

_CUSTOM_SCORE = 0.8
_OPERATORS_FOR_EVERY_POLICY = frozenset({"keep", "reject"})


class PIIConfigurationError(SecurityError):
    """The configuration has an entry that is not valid or cannot be carried out."""

    error = "bad_protection"


class Operator(StrEnum):
    """What is written in the place of a finding. `reject` refuses the call instead.

    `tokenize` writes a placeholder. It is only the operator of the policy with this name, because a tool has to be
    prepared for placeholders, so the configuration file cannot name it.
    """

    KEEP = "keep"
    MASK = "mask"
    REDACT = "redact"
    PSEUDONYM = "pseudonym"
    ENCRYPT = "encrypt"
    TOKENIZE = "tokenize"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class CustomPattern:
    """A regular expression of the team, compiled by RE2, which takes linear time for any expression."""

    name: str
    expression: Any


@dataclass(frozen=True, slots=True)
class PIIConfiguration:
    """Operators by kind for all tools, operators for single tools, allowed values and custom patterns."""

    default: Operator | None = Operator.MASK
    kinds: Mapping[PIIKind, Operator] = field(default_factory=dict[PIIKind, Operator])
    tools: Mapping[str, "PIIConfiguration"] = field(default_factory=dict[str, "PIIConfiguration"])
    allowed_values: frozenset[str] = frozenset()
    patterns: tuple[CustomPattern, ...] = ()
    national_ids: frozenset[str] = COUNTRIES
    """The countries whose national identification numbers are searched for (ISO 3166-1 alpha-2 codes)."""
    find_public_names: bool = False
    """Whether names of historical persons, and of brands and places named after people, are reported as persons."""

    def operator(self, kind: PIIKind, tool: str = "", *, masks: bool = True) -> Operator | None:
        """The operator for a kind in a tool; `masks` is whether the tool's policy is `mask`.

        The first of these that is set: the tool's entry for the kind, the entry for the kind, the tool's default, the
        default. Tools with another policy take only `keep` and `reject` from the entries for all tools, because the
        other operators describe how masked values are written. None means that the tool's policy decides.
        """
        tool_entries = self.tools.get(tool)
        if tool_entries is not None and kind in tool_entries.kinds:
            return tool_entries.kinds[kind]
        kind_operator = self.kinds.get(kind)
        if kind_operator is not None and (masks or kind_operator in _OPERATORS_FOR_EVERY_POLICY):
            return kind_operator
        if tool_entries is not None and tool_entries.default is not None:
            return tool_entries.default
        return self.default if masks else None

    def operators(self) -> set[Operator | None]:
        """Every operator that occurs in the configuration."""
        found = {self.default, *self.kinds.values()}
        for tool_entries in self.tools.values():
            found |= tool_entries.operators()
        return found

    def find_custom(self, text: str) -> Iterator[Finding]:
        """The matches of the custom patterns, as findings of kind CUSTOM."""
        for pattern in self.patterns:
            for match in pattern.expression.finditer(text):
                start, end = match.span()
                yield Finding(PIIKind.CUSTOM, start, end, _CUSTOM_SCORE, f"pattern-{pattern.name}")

    def allows(self, written: str) -> bool:
        """Whether a value is in the list of allowed values. Spelling and capitals do not matter."""
        return normalize(written).text.casefold() in self.allowed_values
