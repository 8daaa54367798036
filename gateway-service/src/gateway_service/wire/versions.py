"""The protocol versions that the gateway speaks, and the reserved members of `_meta`.

Versions up to 2025-11-25 begin with `initialize`, and the server may assign a session. In 2026-07-28 every request is
complete: its version and the client's capabilities are in its `_meta`, and repeated in headers.
"""

from functools import cache
from importlib.metadata import version
from typing import Any

__all__ = [
    "CLIENT_CAPABILITIES",
    "CLIENT_INFO",
    "HANDSHAKE_VERSIONS",
    "LATEST_HANDSHAKE_VERSION",
    "LOG_LEVEL",
    "PROTOCOL_VERSION",
    "RESERVED_PREFIX",
    "SERVER_INFO",
    "STATELESS_VERSION",
    "SUBSCRIPTION_ID",
    "implementation",
]

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST_HANDSHAKE_VERSION = HANDSHAKE_VERSIONS[-1]
STATELESS_VERSION = "2026-07-28"

RESERVED_PREFIX = "io.modelcontextprotocol/"
PROTOCOL_VERSION = f"{RESERVED_PREFIX}protocolVersion"
CLIENT_INFO = f"{RESERVED_PREFIX}clientInfo"
CLIENT_CAPABILITIES = f"{RESERVED_PREFIX}clientCapabilities"
SERVER_INFO = f"{RESERVED_PREFIX}serverInfo"
LOG_LEVEL = f"{RESERVED_PREFIX}logLevel"
SUBSCRIPTION_ID = f"{RESERVED_PREFIX}subscriptionId"


def implementation() -> dict[str, Any]:
    """How the gateway names itself to clients and to upstreams."""
    return {"name": "mcp-oauth2-gateway", "version": _own_version()}


@cache
def _own_version() -> str:
    """The version of the installed package, whose metadata is read from a file."""
    return version("mcp-oauth2-gateway-service")
