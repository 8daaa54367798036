"""Where a request comes from, and which names mean this machine.

Each proxy appends what it saw to X-Forwarded-For. So it is read from the right: the first address that is no declared
proxy is the last one that somebody we trust has seen. What stands further left may be made up.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

__all__ = ["UNKNOWN", "AddressReader", "is_loopback_host", "network_of"]

# The address of a caller that has none, on a Unix socket for example.
UNKNOWN = "unknown"


class AddressReader:
    """Reads the client's IP address from an ASGI scope; costs nothing while no proxy is declared.

    It is `unknown` on a Unix socket, and the connection's own when a proxy says what is no address.
    """

    def __init__(self, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def __call__(self, scope: Mapping[str, Any]) -> str:
        client = scope.get("client")
        peer: str = client[0] if client else UNKNOWN
        if not self._trusted or not self._is_trusted(_parse(peer)):
            return peer
        for hop in reversed(_forwarded_for(scope["headers"])):
            address = _parse(_without_port(hop))
            if address is None:
                return peer
            if not self._is_trusted(address):
                return str(address)
        return peer

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def is_loopback_host(host: str) -> bool:
    """True when the host is this machine by name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _parse(host)
    return address is not None and address.is_loopback


def network_of(address: str) -> str:
    """What one machine can have whole: an IPv6 network of 64 bits; any other address, or name, is itself."""
    parsed = _parse(address) if ":" in address else None
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def _forwarded_for(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    values = (value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    return [part.strip() for value in values for part in value.split(",")]


def _without_port(hop: str) -> str:
    """Some gateways, Azure's among them, write the port as well: `192.0.2.7:50123`, `[2001:db8::7]:50123`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    # A dual-stack socket shows an IPv4 client as ::ffff:192.0.2.7.
    return getattr(parsed, "ipv4_mapped", None) or parsed
