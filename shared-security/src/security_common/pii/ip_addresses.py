"""IP addresses of people's machines: not loopback, not a netmask, not a version number."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import OTHER
from security_common.pii.reading import Reading, Rule

__all__ = ["IP_ADDRESSES"]

_DOT = r"(?:\.|\[\.\])"  # 192[.]0[.]2[.]7, as in reports of attacks
_IPV4 = re.compile(
    rf"[0-9](?<![0-9A-Za-z_.\-][0-9])(?:(?<=2)(?:5[0-5]|[0-4][0-9])|(?<=1)[0-9]{{0,2}}|[0-9]?){_DOT}"
    rf"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]){_DOT}){{2}}"
    r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![0-9A-Za-z_])(?!\.[0-9])(?!-[0-9A-Za-z])"
)
_VERSION_AFTER = re.compile(r"\s?(?:버전|version|build|release)", re.IGNORECASE)
_IPV6 = re.compile(
    r"[0-9A-Fa-f:](?<![0-9A-Za-z_:.][0-9A-Fa-f:])(?:(?<=:)|(?=[0-9A-Fa-f]{0,3}:))[0-9A-Fa-f:]{1,38}(?:(?:\.[0-9]{1,3}){3})?(?:%[0-9a-z]{1,15})?(?![0-9A-Za-z_:])"
)
_MAY_BE_IPV6 = re.compile("::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]")
_VERSION = re.compile(
    r"(?:\bv|\bver\.?|version|버전|빌드|build|release|펌웨어|firmware|section|chapter|§|표|항|절)[\s:=\"']{0,4}$",
    re.IGNORECASE,
)


def _find_ip_addresses(reading: Reading) -> Iterator[Finding]:
    """IPv4 and IPv6 in every textual form (RFC 4291 section 2.2), without port, prefix or zone."""
    text = reading.text
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            network = match.group().endswith(".0") and text.startswith("/", match.end())
            if (
                not network
                and _is_somebodys(IPv4Address(match.group().replace("[.]", ".")))
                and not _is_version(reading, match)
            ):
                yield Finding(PIIKind.IP, match.start(), match.end(), 0.93, "shape")
    if _MAY_BE_IPV6.search(text):
        for match in _IPV6.finditer(text):
            written = match.group().partition("%")[0]
            end = match.start() + len(written)
            if written.endswith(":") and not written.endswith("::"):
                written, end = written[:-1], end - 1
            if _is_ipv6(written):
                yield Finding(PIIKind.IP, match.start(), end, 0.93, "shape")


def _is_somebodys(address: IPv4Address | IPv6Address) -> bool:
    netmask = str(address).startswith("255.")
    return not (address.is_loopback or address.is_unspecified or netmask)


def _is_ipv6(written: str) -> bool:
    if written.count(":") < 2 or not any(char.isdigit() for char in written):
        return False
    try:
        return _is_somebodys(IPv6Address(written))
    except AddressValueError:
        return False


def _is_version(reading: Reading, match: re.Match[str]) -> bool:
    """1.2.3.4 after "version"; a label for something else only when every part is small."""
    text, start, end = reading.text, match.start(), match.end()
    if _VERSION.search(text, max(0, start - 14), start) or _VERSION_AFTER.match(text, end):
        return True
    return reading.called(start) == OTHER and all(len(part) < 3 for part in match.group().split("."))


IP_ADDRESSES = Rule(
    r"[0-9]\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]|::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]", _find_ip_addresses
)
