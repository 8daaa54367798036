"""The client's real address: the connection's own, or what declared proxies say in front of it.

X-Forwarded-For is read from the right: each hop appended what it saw, so the first address that is no declared proxy
is the last one that somebody we trust has seen. Anything further left may be made up by the client.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

__all__ = ["AddressReader"]

_UNKNOWN = "unknown"


class AddressReader:
    """Reads the address from an ASGI scope; calls cost nothing while no proxy is declared."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def __call__(self, scope: Mapping[str, Any]) -> str:
        client = scope.get("client")
        peer: str = client[0] if client else _UNKNOWN
        if not self._trusted or not self._is_trusted(peer):
            return peer
        for hop in reversed(_forwarded_for(scope["headers"])):
            if not self._is_trusted(hop):
                return hop if _parse(hop) is not None else peer
        return peer

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _forwarded_for(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    values = (value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    return [part.strip() for value in values for part in value.split(",")]


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped or parsed
