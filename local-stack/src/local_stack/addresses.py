"""The URL of a server that listens on a given address."""

from ipaddress import ip_address

from security_common.web_urls import is_loopback_host

__all__ = ["LOOPBACK", "base_url"]

LOOPBACK = "127.0.0.1"


def base_url(host: str, port: int) -> str:
    """The URL to call, without a trailing slash. It names `localhost` if the server also listens there."""
    if is_loopback_host(host) or _is_unspecified(host):
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
