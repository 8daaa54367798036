"""Strict parsing of http and https URLs, with the result that a browser would have.

`urllib.parse.urlsplit` is lenient: for `http://[::1].evil.example` it returns the host `::1`. Code that makes a
decision by the host of a URL, or writes the host into a header, uses this module. It refuses every URL that two
programs could parse differently.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["WebUrl", "is_loopback_host", "is_loopback_url", "parse_authority", "parse_host", "parse_web_url"]

_WEB_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_NAME_CHARACTERS = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebUrl:
    """The parts of a URL. `scheme` and `host` are in lower case; an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, as browsers send it in the Origin header: without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port in (None, _DEFAULT_PORTS[self.scheme]) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse_web_url(url: str) -> WebUrl:
    """The parts of the URL, without a fragment.

    Raises ValueError: the scheme is not http or https, there are credentials, a character is not allowed in a URL, or
    the host or port is not valid.
    """
    match = _WEB_URL.fullmatch(url)
    if match is None or _UNSAFE.search(url):
        raise ValueError("not an http or https URL, or a character is not allowed in one")
    host, port = parse_authority(match["authority"])
    query = (match["query"] or "").removeprefix("?")
    return WebUrl(scheme=match["scheme"].lower(), host=host, port=port, path=match["path"], query=query)


def parse_authority(authority: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port` or `[IPv6 address]:port`. Raises ValueError."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return parse_host(authority), None
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise ValueError("the port must be a number from 1 to 65535")
    return parse_host(host), int(port)


def parse_host(text: str) -> str:
    """The host in lower case. Raises ValueError unless it is an IP address or a DNS name without a final dot."""
    if text.startswith("[") and text.endswith("]") and "%" not in text:
        return str(IPv6Address(text[1:-1]))
    name = text.lower()
    labels = name.split(".")
    if len(name) > _MAX_NAME_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("the host must be an address or a DNS name (international names in their xn-- form)")
    if _NUMBER.fullmatch(labels[-1]):
        # Browsers take 2130706433 and 0x7f.1 for IPv4 addresses (WHATWG URL, host parser); IPv4Address raises.
        return str(IPv4Address(name))
    return name


def is_loopback_host(host: str) -> bool:
    """Whether the host is this machine: `localhost`, a name below it, or a loopback address without brackets.

    The one definition of loopback. An IPv4-mapped IPv6 address counts as its IPv4 address.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_loopback_url(url: str) -> bool:
    """Whether this is a valid http or https URL whose host is this machine."""
    try:
        return is_loopback_host(parse_web_url(url).host)
    except ValueError:
        return False
