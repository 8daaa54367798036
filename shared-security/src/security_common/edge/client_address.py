"""The IP address of the client, also behind proxies that the operator has declared.

Each proxy appends the address of its own client to X-Forwarded-For, so the header is read from right to left. The first
address that is not a declared proxy is the last one that a trusted machine has recorded; a client can forge everything
to the left of it.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

__all__ = ["UNKNOWN_ADDRESS", "ClientAddressReader", "Network", "is_in_networks", "network_of", "parse_address"]

Network: TypeAlias = IPv4Network | IPv6Network

UNKNOWN_ADDRESS = "unknown"
"""The address of a client that has none, for example on a Unix socket."""


class ClientAddressReader:
    """Reads the client's IP address from an ASGI scope.

    The result is the address of the connection when no proxy is declared, or when a proxy sent a malformed header. It
    is `UNKNOWN_ADDRESS` when the connection has none.
    """

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def __call__(self, scope: Mapping[str, Any]) -> str:
        client = scope.get("client")
        peer: str = client[0] if client else UNKNOWN_ADDRESS
        if not self._trusted or not is_in_networks(peer, self._trusted):
            return peer
        for hop in reversed(_forwarded_for(scope["headers"])):
            address = parse_address(_without_port(hop))
            if address is None:
                return peer
            if not any(address in network for network in self._trusted):
                return str(address)
        return peer


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address, or None. An IPv4 client on a dual-stack socket, ::ffff:192.0.2.7, is its IPv4 address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_in_networks(text: str, networks: Sequence[Network]) -> bool:
    """Whether the text is an IP address within one of the networks."""
    address = parse_address(text)
    return address is not None and any(address in network for network in networks)


def network_of(address: str) -> str:
    """The unit by which clients are counted: for IPv6 the /64 network, which one machine usually has to itself.

    Every other address, and every other text, is returned unchanged.
    """
    parsed = parse_address(address) if ":" in address else None
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def _forwarded_for(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    values = (value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    return [part.strip() for value in values for part in value.split(",")]


def _without_port(hop: str) -> str:
    """Some gateways, Azure's among them, append the port: `192.0.2.7:50123`, `[2001:db8::7]:50123`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
