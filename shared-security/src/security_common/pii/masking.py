"""Masks that leave a person able to recognise their own data and nobody able to rebuild it."""

import re
from collections.abc import Callable, Iterable, Mapping

from security_common.pii.finding import Finding, PIIKind

__all__ = ["mask_findings", "mask_value"]

_ALNUM = re.compile(r"\w")


def _hide(value: str, *, head: int = 0, tail: int = 0) -> str:
    """Every letter and digit but the first `head` and the last `tail` becomes a star; separators stay."""
    places = [match.start() for match in _ALNUM.finditer(value)]
    hidden = set(places[head : len(places) - tail])
    return "".join("*" if index in hidden else char for index, char in enumerate(value))


def _mask_email(value: str) -> str:
    local, at, domain = value.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


def _mask_phone(value: str) -> str:
    digits = sum(char.isdigit() for char in value)
    return _hide(value, head=digits - 8 if digits > 9 else 2, tail=4)


def _mask_person(value: str) -> str:
    if value.isascii():
        return " ".join(_hide(word, head=1) for word in value.split(" "))
    return _hide(value, head=1, tail=1 if len(value) == 3 else 0)


def _mask_ip(value: str) -> str:
    first, dot, rest = value.partition(".")
    second, _, _ = rest.partition(".")
    return f"{first}.{second}.*.*" if dot else "***"


_MASKS: Mapping[PIIKind, Callable[[str], str]] = {
    PIIKind.EMAIL: _mask_email,
    PIIKind.PHONE: _mask_phone,
    PIIKind.KR_RRN: lambda value: _hide(value, head=7),
    PIIKind.CREDIT_CARD: lambda value: _hide(value, tail=4),
    PIIKind.BUSINESS_NUMBER: lambda value: _hide(value, head=5),
    PIIKind.IP: _mask_ip,
    PIIKind.PERSON: _mask_person,
}


def mask_value(kind: PIIKind, value: str) -> str:
    """One value with its partial reveal: `h***@example.com`, `010-****-5678`, `880101-1******`."""
    return _MASKS.get(kind, _hide)(value)


def mask_findings(text: str, findings: Iterable[Finding]) -> str:
    """The text with each finding masked. Findings must not overlap, as those of one scan never do."""
    parts: list[str] = []
    position = 0
    for finding in sorted(findings, key=lambda found: found.start):
        parts += [text[position : finding.start], mask_value(finding.kind, text[finding.start : finding.end])]
        position = finding.end
    return "".join([*parts, text[position:]])
