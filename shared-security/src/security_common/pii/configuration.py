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

It is parsed once, and refused with the entry to mend when it says something that cannot be done.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

try:
    import re2
except ImportError:  # the `patterns` extra is not installed; only own patterns need it
    re2 = None

from security_common.errors import SecurityError
from security_common.pii.finding import Finding, PIIKind
from security_common.spelling import fold

__all__ = ["BadProtection", "Operator", "OwnPattern", "Protection", "load_protection"]

MOST_PATTERNS, LONGEST_PATTERN = 20, 500
OWN_SCORE = 0.8
_SECTIONS = {"default", "kinds", "tools", "allow", "patterns"}


class BadProtection(SecurityError):
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
class OwnPattern:
    """An expression of the team's own. RE2 runs it in linear time whatever it says; its findings are of kind CUSTOM."""

    name: str
    expression: Any


@dataclass(frozen=True, slots=True)
class Protection:
    """Operators by kind, for every tool and for single ones; values that are nobody's secret; own patterns."""

    default: Operator | None = Operator.MASK
    kinds: Mapping[PIIKind, Operator] = field(default_factory=dict[PIIKind, Operator])
    tools: Mapping[str, "Protection"] = field(default_factory=dict[str, "Protection"])
    allowed_values: frozenset[str] = frozenset()
    patterns: tuple[OwnPattern, ...] = ()

    def operator(self, kind: PIIKind, tool: str = "", *, masks: bool = True) -> Operator | None:
        """The tool's word on the kind, else everybody's word on the kind, else the tool's default, else the default.

        How a value is written down is everybody's word for tools that mask only: another tool takes `keep` and
        `reject` from it, and None says that its policy decides.
        """
        own = self.tools.get(tool, Protection(default=None))
        shared = self.kinds.get(kind)
        if not masks and shared not in {Operator.KEEP, Operator.REJECT}:
            shared = None
        return own.kinds.get(kind) or shared or own.default or (self.default if masks else None)

    def operators(self) -> set[Operator | None]:
        """Every operator that may be asked for."""
        return {self.default, *self.kinds.values()}.union(*(tool.operators() for tool in self.tools.values()))

    def find_own(self, text: str) -> Iterator[Finding]:
        """What the own patterns find."""
        for pattern in self.patterns:
            for match in pattern.expression.finditer(text):
                start, end = match.span()
                yield Finding(PIIKind.CUSTOM, start, end, OWN_SCORE, f"pattern-{pattern.name}")

    def allows(self, written: str) -> bool:
        """True for a value that is nobody's secret, however it is spelled."""
        return fold(written).text.casefold() in self.allowed_values


def load_protection(path: Path) -> Protection:
    """Reads a TOML file. Raises `BadProtection`, which names the entry and never a value."""
    try:
        with path.open("rb") as file:
            return parse_protection(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadProtection(f"{path} is no readable TOML file", hint="docs/pii.md shows one") from error


def parse_protection(entries: Mapping[str, Any]) -> Protection:
    """The same from data that is already parsed."""
    if unknown := set(entries) - _SECTIONS:
        raise BadProtection(f"unknown entry {min(unknown)}", hint=f"known are {', '.join(sorted(_SECTIONS))}")
    patterns: Mapping[str, Any] = entries.get("patterns", {})
    if len(patterns) > MOST_PATTERNS:
        raise BadProtection(f"{len(patterns)} patterns, {MOST_PATTERNS} allowed", hint="join some of them with |")
    return Protection(
        default=_operator("default", entries.get("default", "mask")),
        kinds=_kinds("kinds", entries.get("kinds", {})),
        tools={
            name: Protection(
                default=_operator(f"tools.{name}.default", tool["default"]) if "default" in tool else None,
                kinds=_kinds(f"tools.{name}.kinds", tool.get("kinds", {})),
            )
            for name, tool in entries.get("tools", {}).items()
        },
        allowed_values=frozenset(value.casefold() for value in entries.get("allow", {}).get("values", [])),
        patterns=tuple(_pattern(name, entry.get("expression", "")) for name, entry in patterns.items()),
    )


def _operator(place: str, name: str) -> Operator:
    try:
        return Operator(name)
    except ValueError as error:
        raise BadProtection(f"{place} is no operator", hint=f"use one of {', '.join(Operator)}") from error


def _kinds(place: str, entries: Mapping[str, str]) -> dict[PIIKind, Operator]:
    if unknown := set(entries) - set(PIIKind):
        raise BadProtection(f"{place}.{min(unknown)} is no kind", hint=f"use one of {', '.join(PIIKind)}")
    return {PIIKind(kind): _operator(f"{place}.{kind}", name) for kind, name in entries.items()}


def _pattern(name: str, expression: str) -> OwnPattern:
    if not 0 < len(expression) <= LONGEST_PATTERN:
        raise BadProtection(f"patterns.{name} has no or too long an expression", hint=f"at most {LONGEST_PATTERN}")
    engine: Any = re2
    if engine is None:
        raise BadProtection("own patterns need RE2", hint='install "mcp-oauth2-security-common[patterns]"')
    options = engine.Options()
    options.log_errors = False
    try:
        compiled = engine.compile(expression, options)
    except engine.error:
        raise BadProtection(f"patterns.{name} is no RE2 expression", hint="RE2 has no look-around") from None
    if compiled.search("") is not None:
        raise BadProtection(f"patterns.{name} matches nothing at all", hint="ask for at least one character")
    return OwnPattern(name, compiled)
