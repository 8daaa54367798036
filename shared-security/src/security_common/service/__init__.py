"""What a service around this library needs to run, so that both have it once.

    settings   where to listen, Redis, proxies, logs       redis_client   the connection, password from its file
    secrets    what a file named by a setting holds        logs           JSON lines, or a terminal's
    server     uvicorn: socket, drain, collector           findings       what a doctor tells
    trusted_issuers   the issuers a service declares as JSON or in a file

Needs the extra `service`. It knows no application: a service hands its own in.
"""

from security_common.secret_files import SecretMissing
from security_common.service.findings import Finding, tell_findings
from security_common.service.logs import configure_logs
from security_common.service.metrics_server import serving_metrics
from security_common.service.redis_client import STRICT_HINT, connect, find_weaknesses
from security_common.service.redis_for_commands import connected, explain_for
from security_common.service.secrets import read_secret, require_file
from security_common.service.server import PortTaken, serve
from security_common.service.settings import ServiceSettings, check_exact_url, check_public_url, is_loopback_url
from security_common.service.trusted_issuers import read_trusted_issuers

__all__ = [
    "STRICT_HINT",
    "Finding",
    "PortTaken",
    "SecretMissing",
    "ServiceSettings",
    "check_exact_url",
    "check_public_url",
    "configure_logs",
    "connect",
    "connected",
    "explain_for",
    "find_weaknesses",
    "is_loopback_url",
    "read_secret",
    "read_trusted_issuers",
    "require_file",
    "serve",
    "serving_metrics",
    "tell_findings",
]
