"""IPv4 and IPv6 addresses of machines: not loopback, not a network mask, not a version number."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from security_common.pii.field_names import words_of_name
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import OTHER, LabelledText
from security_common.pii.rules import Rule

__all__ = ["IP_ADDRESSES", "LIKE_VERSION", "is_name_of_software"]

_DOT = r"(?:\.|\[\.\])"  # 192[.]0[.]2[.]7, as in reports about attacks
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
# The first digit comes before its look-behind, so that the engine skips to digits quickly.
_IPV4 = re.compile(
    rf"[0-9](?<![0-9A-Za-z_.\-][0-9])(?:(?<=2)(?:5[0-5]|[0-4][0-9])|(?<=1)[0-9]{{0,2}}|[0-9]?){_DOT}"
    rf"(?:{_OCTET}{_DOT}){{2}}"
    rf"{_OCTET}"
    r"(?![0-9A-Za-z_])(?!\.[0-9])(?!-[0-9A-Za-z])"
)
_IPV6 = re.compile(
    r"[0-9A-Fa-f:](?<![0-9A-Za-z_:.][0-9A-Fa-f:])(?:(?<=:)|(?=[0-9A-Fa-f]{0,3}:))[0-9A-Fa-f:]{1,38}"
    r"(?:(?:\.[0-9]{1,3}){3})?"  # an IPv4 address at the end
    r"(?:%[0-9a-z]{1,15})?"  # a zone
    r"(?![0-9A-Za-z_:])"
)
_EUI64 = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){7}")  # a hardware address of eight bytes
_MAY_BE_IPV6 = re.compile("::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]")
_VERSION_BEFORE = re.compile(
    r"(?:\bv|\bver\.?|version|버전|빌드|build|release|펌웨어|firmware|section|chapter|§|표|항|절)[\s:=\"']{0,4}$",
    re.IGNORECASE,
)
# pkg==1.2.3.4, pkg@1.2.3.4, nginx/1.25.3.1 and Chrome/120.0.0.0, but not //10.0.0.1
_PRODUCT_BEFORE = re.compile(
    r"[A-Za-z0-9_\]]\s?[=~!<>]==?\s?$|[a-z0-9]@$|(?:^|[\s\"'(;,])[A-Za-z][A-Za-z0-9_.+\-]{1,30}/$"
)
_WORD_BEFORE = re.compile(r"([A-Za-z]{2,20})[\"']?[ :=]{1,3}[\"']?v?$")  # Gradle 8.7.0.1, "engine": "8.0.33.1"
_MAX_WORD_BEFORE_LENGTH = 28
_LEADING_ZERO = re.compile(r"(?:^|\.)0[0-9]")
_BEGINNINGS_OF_NO_MACHINE = ("127.", "255.")  # loopback, network masks
_UNSPECIFIED = "0.0.0.0"  # noqa: S104 - not an address to bind to
_SOFTWARE_WORDS = """
agent android app application bios browser build chart chrome compose docker driver edge engine firefox framework
gradle helm image ios java jdk jre kernel kotlin lib library linux macos maven module nginx npm os package pip pkg
plugin python release runtime safari schema sdk software spring sw tag terraform tomcat tool unity version windows
"""
_SOFTWARE = frozenset(_SOFTWARE_WORDS.split())
"""Words in front of a version number with four parts."""
LIKE_VERSION = "like-version"
"""The reason of an address whose parts have one or two digits, unless it begins with 10, as private addresses do."""
_MAX_PRODUCT_LENGTH = 34
_MAX_VERSION_WORD_LENGTH = 14
_VERSION_AFTER = re.compile(r"\s?(?:버전|version|build|release)", re.IGNORECASE)


def _find_ip_addresses(source: LabelledText) -> Iterator[Finding]:
    """Every textual form (RFC 4291 section 2.2), without port, prefix length and zone."""
    if source.text.count(".") >= 3:
        yield from _find_ipv4(source)
    if _MAY_BE_IPV6.search(source.text):
        yield from _find_ipv6(source.text)


def _find_ipv4(source: LabelledText) -> Iterator[Finding]:
    for match in _IPV4.finditer(source.text):
        is_network = match.group().endswith(".0") and source.text.startswith("/", match.end())
        address = match.group().replace("[.]", ".")
        if not is_network and _is_ipv4_of_machine(address) and not _is_version(source, match):
            why = LIKE_VERSION if _has_short_parts(address) and not address.startswith("10.") else "shape"
            yield Finding(PIIKind.IP, match.start(), match.end(), 0.93, why)


def _has_short_parts(address: str) -> bool:
    return all(len(part) < 3 for part in address.split("."))


def is_name_of_software(name: str) -> bool:
    """Whether a field of this name contains the version of a program: `agent`, `osVersion`, `db_engine`."""
    return any(word in _SOFTWARE for word in words_of_name(name)[-2:])


def _find_ipv6(text: str) -> Iterator[Finding]:
    for match in _IPV6.finditer(text):
        address = match.group().partition("%")[0]
        if address.endswith(":") and not address.endswith("::"):
            address = address[:-1]  # punctuation
        if _is_ipv6_of_machine(address):
            yield Finding(PIIKind.IP, match.start(), match.start() + len(address), 0.93, "shape")


def _is_ipv4_of_machine(address: str) -> bool:
    """Whether a match of _IPV4 is the address of a machine.

    A leading zero in a part makes an address invalid: some programs read such a part as an octal number.
    """
    is_reserved = address.startswith(_BEGINNINGS_OF_NO_MACHINE) or address == _UNSPECIFIED
    return not is_reserved and _LEADING_ZERO.search(address) is None


def _is_ipv6_of_machine(address: str) -> bool:
    if address.count(":") < 2 or not any(char.isdigit() for char in address) or _EUI64.fullmatch(address):
        return False
    try:
        parsed = IPv6Address(address)
    except AddressValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified)


def _is_version(source: LabelledText, match: re.Match[str]) -> bool:
    """1.2.3.4 beside a word such as "version", or with short parts behind the name of a package or product.

    An address that begins with 10 is private, so it is a version only beside such a word or a label of kind OTHER.
    """
    text, start, end = source.text, match.start(), match.end()
    if _VERSION_BEFORE.search(text, max(0, start - _MAX_VERSION_WORD_LENGTH), start) or _VERSION_AFTER.match(text, end):
        return True
    parts = match.group().split(".")
    has_short_parts = _has_short_parts(match.group())
    is_like_version = (has_short_parts and parts[0] != "10") or parts[1:] == ["0", "0", "0"]
    if is_like_version and _PRODUCT_BEFORE.search(text, max(0, start - _MAX_PRODUCT_LENGTH), start):
        return True
    word = _WORD_BEFORE.search(text, max(0, start - _MAX_WORD_BEFORE_LENGTH), start) if is_like_version else None
    if word is not None and word[1].lower() in _SOFTWARE:
        return True
    return has_short_parts and source.adjacent_label_kind(start) == OTHER


IP_ADDRESSES = Rule(
    r"[0-9]\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]|::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]", _find_ip_addresses
)
