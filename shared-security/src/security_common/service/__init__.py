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
from security_common.service.redis_client import connect
from security_common.service.redis_examination import RedisMonitor
from security_common.service.redis_findings import find_redis_failure, find_redis_weaknesses
from security_common.service.redis_for_commands import connected
from security_common.service.redis_identity import RedisIdentity, RedisReplaced
from security_common.service.secret_findings import judge_secret_files
from security_common.service.secrets import read_secret, require_file
from security_common.service.server import PortTaken, serve
from security_common.service.settings import ServiceSettings, check_exact_url, check_public_url, is_loopback_url
from security_common.service.trusted_issuers import read_trusted_issuers
from security_common.service.yaml_files import parse_yaml

__all__ = [
    "Finding",
    "PortTaken",
    "RedisIdentity",
    "RedisMonitor",
    "RedisReplaced",
    "SecretMissing",
    "ServiceSettings",
    "check_exact_url",
    "check_public_url",
    "configure_logs",
    "connect",
    "connected",
    "find_redis_failure",
    "find_redis_weaknesses",
    "is_loopback_url",
    "judge_secret_files",
    "parse_yaml",
    "read_secret",
    "read_trusted_issuers",
    "require_file",
    "serve",
    "serving_metrics",
    "tell_findings",
]
