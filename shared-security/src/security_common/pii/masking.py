"""Masks: they leave enough for people to recognize their own data, and too little to reconstruct it."""

import re
from collections.abc import Callable, Mapping, Sequence

from security_common.pii.finding import BASE64, Finding, PIIKind
from security_common.pii.normalization import normalize

__all__ = ["JSON_NUMBER", "MASKED_NUMBER", "PART_OF_VALUE", "is_json_number", "mask_finding", "replace_until_clean"]

HIDDEN = "***"
PART_OF_VALUE = "part"
"""The reason of a finding that is a part of a value in several fields."""
JSON_NUMBER = "json-number"
"""The beginning of the reason of a finding that is a number of a JSON document."""
MASKED_NUMBER = "0"
_SPECIAL_REASONS = (BASE64, JSON_NUMBER, PART_OF_VALUE)
_MAX_PASSES = 4
_LETTER_OR_DIGIT = re.compile(r"\w")
_NEEDS_ESCAPE = re.compile(r"[\"\\\x00-\x1f]")
_YEAR_FIRST = re.compile(r"(?:19|20)[0-9]{2}")


def mask_finding(finding: Finding, written: str) -> str:
    """The mask for the text of a finding, in plain characters.

    A base64 token is hidden as a whole. A number of a JSON document becomes 0, so that the document stays valid. A part
    of a value that is split over several fields is hidden completely: what a mask would keep of the whole value is more
    than the part has.
    """
    if finding.why.startswith(_SPECIAL_REASONS):
        if finding.is_encoded:
            return HIDDEN
        if is_json_number(finding):
            return MASKED_NUMBER
        if finding.why == PART_OF_VALUE:
            return _without_escapes(_hide(normalize(written).text), written)
    return _without_escapes(_mask_value(finding.kind, normalize(written).text), written)


def is_json_number(finding: Finding) -> bool:
    """Whether a finding is a number of a JSON document, which only another number can replace."""
    return finding.why.startswith(JSON_NUMBER)


def _without_escapes(mask: str, written: str) -> str:
    """The mask, or `***` if it contains a character that was written as an escape and would need one again."""
    return HIDDEN if "\\" in written and _NEEDS_ESCAPE.search(mask) else mask


def _mask_value(kind: PIIKind, value: str) -> str:
    """One value, partly hidden: `h***@example.com`, `010-****-5678`, `880101-1******`."""
    mask = _MASKS.get(kind)
    return mask(value) if mask is not None else HIDDEN


def replace_until_clean(
    text: str,
    findings: Sequence[Finding],
    find: Callable[[str], Sequence[Finding]],
    replace: Callable[[Finding, str], str],
) -> str:
    """Replaces the findings until another pass changes nothing: a mask can turn the text beside it into a finding.

    `findings` are those of `text`, and `find` is called for each later pass. Returns `***` if four passes are not
    enough.
    """
    for _ in range(_MAX_PASSES):
        if not findings:
            return text
        replaced = _replace_findings(text, findings, replace)
        if replaced == text:
            return text
        findings = find(replaced)
        text = replaced
    return HIDDEN


def _replace_findings(text: str, findings: Sequence[Finding], replace: Callable[[Finding, str], str]) -> str:
    parts: list[str] = []
    position = 0
    for finding in sorted(findings, key=lambda found: found.start):
        parts += [text[position : finding.start], replace(finding, text[finding.start : finding.end])]
        position = finding.end
    parts.append(text[position:])
    return "".join(parts)


def _hide(value: str, *, head: int = 0, tail: int = 0) -> str:
    """Replaces letters and digits by stars, except the first `head` and the last `tail`. Separators stay."""
    if not head and not tail:
        return _LETTER_OR_DIGIT.sub("*", value)
    places = [match.start() for match in _LETTER_OR_DIGIT.finditer(value)]
    hidden = places[head : len(places) - tail]
    if not hidden:
        return value
    start, end = hidden[0], hidden[-1] + 1
    return value[:start] + _LETTER_OR_DIGIT.sub("*", value[start:end]) + value[end:]


def _mask_email(value: str) -> str:
    local_part, at, domain = value.rpartition("@")
    return f"{local_part[:1]}{HIDDEN}{at}{domain}" if at else HIDDEN


def _mask_phone(value: str) -> str:
    digits = sum(map(str.isdigit, value))
    return _hide(value, head=min(5, digits - 8) if digits > 9 else 2, tail=4)


def _mask_ip(value: str) -> str:
    parts = value.split(".")
    return f"{parts[0]}.{parts[1]}.*.*" if len(parts) == 4 and parts[0].isdigit() else HIDDEN


def _mask_person(value: str) -> str:
    if value.isascii():
        return " ".join(_hide(word, head=1) for word in value.split(" "))
    return _hide(value, head=1, tail=1 if len(value) == 3 else 0)


def _mask_address(value: str) -> str:
    """Keeps province and district of a Korean address, and nothing of any other."""
    if value[:1].isascii():
        return HIDDEN
    words = value.split(" ", 2)
    return " ".join([*words[:2], *map(_hide, words[2:])])


def _mask_birth_date(value: str) -> str:
    return _hide(value, head=4 if _YEAR_FIRST.match(value) else 0)


_MASKS: Mapping[PIIKind, Callable[[str], str]] = {
    PIIKind.EMAIL: _mask_email,
    PIIKind.PHONE: _mask_phone,
    PIIKind.KR_RRN: lambda value: _hide(value, head=7),
    PIIKind.CREDIT_CARD: lambda value: _hide(value, tail=4),
    PIIKind.IBAN: lambda value: _hide(value, head=2, tail=4),
    PIIKind.IP: _mask_ip,
    PIIKind.US_SSN: lambda value: _hide(value, tail=4),
    PIIKind.NATIONAL_ID: lambda value: _hide(value, tail=2),
    PIIKind.PASSPORT: lambda value: _hide(value, head=1),
    PIIKind.DRIVER_LICENSE: lambda value: _hide(value, head=2),
    PIIKind.BUSINESS_NUMBER: lambda value: _hide(value, head=5),
    PIIKind.CORP_NUMBER: lambda value: _hide(value, head=6),
    PIIKind.BANK_ACCOUNT: lambda value: _hide(value, tail=4),
    PIIKind.VEHICLE_PLATE: lambda value: value[:-4] + "****",
    PIIKind.CUSTOMS_CODE: lambda value: _hide(value, head=1),
    PIIKind.PERSON: _mask_person,
    PIIKind.ADDRESS: _mask_address,
    PIIKind.DATE_OF_BIRTH: _mask_birth_date,
}
"""Kinds without an entry, such as SECRET and CUSTOM, are hidden as a whole."""
