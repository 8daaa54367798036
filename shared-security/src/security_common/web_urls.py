"""http and https URLs, read the way a browser reads them, or not at all.

`urllib.parse.urlsplit` is lenient: of `http://[::1].evil.example` it says that the host is `::1`. Code that decides by
the host of a URL, or puts it into a header, uses this module: what two programs could read in two ways is refused.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from security_common.addresses import is_loopback_host

__all__ = ["WebUrl", "is_loopback_url", "parse_authority", "parse_host", "parse_web_url"]

_WEB_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class WebUrl:
    """The parts of a URL. `scheme` and `host` are in lower case, an IPv6 address is without its brackets."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str


def parse_web_url(url: str) -> WebUrl:
    """Raises ValueError: not http or https, credentials, not plain ASCII, or a host or port that cannot be one."""
    found = _WEB_URL.fullmatch(url)
    if found is None or _UNSAFE.search(url):
        raise ValueError("not an http or https URL of plain characters")
    host, port = parse_authority(found["authority"])
    query = (found["query"] or "").removeprefix("?")
    return WebUrl(scheme=found["scheme"].lower(), host=host, port=port, path=found["path"], query=query)


def parse_authority(authority: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port` or `[IPv6 address]:port`. Raises ValueError."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return parse_host(authority), None
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise ValueError("the port must be a number from 1 to 65535")
    return parse_host(host), int(port)


def parse_host(text: str) -> str:
    """The host in lower case. Raises ValueError for what is neither an address nor a DNS name without a final dot."""
    if text.startswith("[") and text.endswith("]") and "%" not in text:
        return str(IPv6Address(text[1:-1]))
    name = text.lower()
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("the host must be an address or a DNS name (international names in their xn-- form)")
    if _NUMBER.fullmatch(labels[-1]):
        return str(
            IPv4Address(name)
        )  # browsers take 2130706433 and 0x7f.1 for IPv4 addresses (WHATWG URL, host parser)
    return name


def is_loopback_url(url: str) -> bool:
    """True for an http or https URL whose host is this machine, by name or address."""
    try:
        return is_loopback_host(parse_web_url(url).host)
    except ValueError:
        return False
