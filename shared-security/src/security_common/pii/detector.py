"""The scan: every rule proposes candidates, one order decides between those that overlap."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import cache

from security_common.pii.checks import is_business_number, is_card_number, is_date, is_resident_number
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.masking import mask_findings

__all__ = ["PIIDetector", "get_pii_detector"]

_NOT_IN_NUMBER = r"(?<![A-Za-z0-9_])(?<![0-9]-)"
_NUMBER_ENDS = r"(?![A-Za-z0-9_])(?!-\d)"
_EMAIL = re.compile(r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_PHONE = re.compile(
    _NOT_IN_NUMBER
    + r"(?:\+82[- ]?1[016789]|01[016789]|02|0[3-6][1-5]|070|050\d)[-. ]?\d{3,4}[-. ]?\d{4}"
    + _NUMBER_ENDS
)
_RESIDENT = re.compile(_NOT_IN_NUMBER + r"\d{6}([- ]?)[1-8]\d{6}" + _NUMBER_ENDS)
_CARD = re.compile(_NOT_IN_NUMBER + r"[3-69]\d{3}([- ]?)\d{4}\1\d{4}\1\d{4}" + _NUMBER_ENDS)
_BUSINESS = re.compile(_NOT_IN_NUMBER + r"\d{3}-\d{2}-\d{5}" + _NUMBER_ENDS)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-])(?!\.\d)")
_PERSON = re.compile(r"(?<![가-힣])([김이박최정강조윤장임한오서신권황안송전홍][가-힣]{2})(?=\s?(?:님|씨))")


def _digits(value: str) -> str:
    return "".join(filter(str.isdigit, value))


def _find_emails(text: str) -> Iterator[Finding]:
    for match in _EMAIL.finditer(text):
        yield Finding(PIIKind.EMAIL, match.start(), match.end(), 0.95, "shape")


def _find_phones(text: str) -> Iterator[Finding]:
    for match in _PHONE.finditer(text):
        yield Finding(PIIKind.PHONE, match.start(), match.end(), 0.9, "shape")


def _find_resident_numbers(text: str) -> Iterator[Finding]:
    for match in _RESIDENT.finditer(text):
        digits = _digits(match.group())
        year = (1900 if digits[6] in "1256" else 2000) + int(digits[:2])
        checked = is_resident_number(digits)
        if is_date(year, int(digits[2:4]), int(digits[4:6])) and (checked or match.group(1)):
            yield Finding(PIIKind.KR_RRN, match.start(), match.end(), 0.99 if checked else 0.8, "date")


def _find_cards(text: str) -> Iterator[Finding]:
    for match in _CARD.finditer(text):
        if is_card_number(_digits(match.group())):
            yield Finding(PIIKind.CREDIT_CARD, match.start(), match.end(), 0.99, "checksum")


def _find_business_numbers(text: str) -> Iterator[Finding]:
    for match in _BUSINESS.finditer(text):
        if is_business_number(_digits(match.group())):
            yield Finding(PIIKind.BUSINESS_NUMBER, match.start(), match.end(), 0.95, "checksum")


def _find_addresses(text: str) -> Iterator[Finding]:
    for match in _IPV4.finditer(text):
        try:
            address = ipaddress.IPv4Address(match.group())
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified):
            yield Finding(PIIKind.IP, match.start(), match.end(), 0.9, "shape")


def _find_people(text: str) -> Iterator[Finding]:
    for match in _PERSON.finditer(text):
        yield Finding(PIIKind.PERSON, match.start(1), match.end(1), 0.8, "title")


_RULES: tuple[Callable[[str], Iterator[Finding]], ...] = (
    _find_emails,
    _find_phones,
    _find_resident_numbers,
    _find_cards,
    _find_business_numbers,
    _find_addresses,
    _find_people,
)


def _settle(candidates: list[Finding]) -> list[Finding]:
    """Of overlapping candidates the surer stays, then the longer, then the earlier."""
    kept: list[Finding] = []
    for finding in sorted(candidates, key=lambda found: (-found.score, found.start - found.end, found.start)):
        if all(finding.end <= other.start or other.end <= finding.start for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda found: found.start)


class PIIDetector:
    """Finds and masks personal data. Holds no state of a text, so one instance serves every thread."""

    def scan_text(self, text: str, *, field_name: str | None = None) -> list[Finding]:
        """Findings in order of their place, never overlapping. `field_name` is the name of its field."""
        del field_name
        return _settle([finding for rule in _RULES for finding in rule(text)])

    def mask_text(self, text: str, *, field_name: str | None = None) -> str:
        """The text with each finding masked."""
        return mask_findings(text, self.scan_text(text, field_name=field_name))

    mask_pii = mask_text


@cache
def get_pii_detector() -> PIIDetector:
    """The detector of this process."""
    return PIIDetector()
