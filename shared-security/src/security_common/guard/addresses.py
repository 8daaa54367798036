"""The client's address: the connection's own, or what declared proxies say in front of it.

Each proxy appends what it saw to X-Forwarded-For. So it is read from the right: the first address that is no declared
proxy is the last one that somebody we trust has seen. What stands further left may be made up.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from security_common.guard.asgi import Scope
from security_common.guard.headers import RequestHeaders

__all__ = ["read_source_address"]

UNKNOWN = "unknown"


def read_source_address(
    scope: Scope, headers: RequestHeaders, trusted_proxies: Sequence[IPv4Network | IPv6Network]
) -> str:
    """The client's IP address; `unknown` on a Unix socket without a declared proxy."""
    client = scope.get("client")
    peer: str = client[0] if client else UNKNOWN
    if not trusted_proxies or not _is_trusted(peer, trusted_proxies):
        return peer
    hops = [hop.strip() for value in headers.all(b"x-forwarded-for") for hop in value.split(",")]
    for hop in reversed(hops):
        if not _is_trusted(hop, trusted_proxies):
            return hop if _parse(hop) is not None else peer
    return peer


def _is_trusted(address: str, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted_proxies)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
