"""What a service needs to run, shared by all services.

    settings                  listening address, Redis, proxies, logs
    resource_server_settings  of services with MCP addresses; imported from its module, because it needs `tool_policy`
    redis_connection          the connection pool, with the password from its file
    redis_checks              the version, durability and memory of Redis, for doctor and readiness
    redis_identity            whether this Redis and the secrets are the ones that were used before
    key_check_values          how a wrong secret is found
    redis_circuit_breaker     commands fail at once while Redis hangs
    redis_replica_wait        a write is confirmed when a replica has it on its disk
    redis_sentinel            the primary that Sentinel names
    operator_session          Redis and the audit journal for commands that change something
    sessions                  sessions of browsers in Redis
    logs                      JSON lines, or readable lines on a terminal
    running                   a service as one process, or as several
    workers                   several processes on one listening socket
    listening_socket          the socket that a service listens on
    server                    uvicorn: drain, garbage collector
    metrics_server            Prometheus metrics on a separate port
    doctor                    results of checks and their output
    issuer_checks             what a doctor checks at an issuer
    trusted_issuer_settings   the trusted issuers that a service declares as JSON or in a file
    yaml_files                YAML with the booleans of YAML 1.2

These are imported from their modules, because they import FastAPI, which a command does not need:

    web_application           the FastAPI application that every service starts from
    api_docs                  /docs without the internet
    http_errors               responses to unknown paths and failed handlers
    read_routes               routes for GET and HEAD
    health                    /livez and /readyz
    browser_pages             the start page and error pages for browsers
    request_metrics           the duration of requests
    status_list_metrics       the age of status lists
    resource_server           what services with MCP addresses create from their settings

It needs the extra `service` of the distribution.
"""

from security_common.cookies import ServiceCookies
from security_common.secret_files import SecretMissing, read_secret, require_secret_file
from security_common.service.doctor import CheckResult, print_check_results
from security_common.service.key_check_values import secrets_in_use
from security_common.service.listening_socket import PortTaken
from security_common.service.logs import configure_logs
from security_common.service.metrics_server import serving_metrics
from security_common.service.operator_session import (
    OperatorJournal,
    OperatorSession,
    operator_journal,
    operator_session,
)
from security_common.service.redis_checks import RedisMonitor, check_redis, check_redis_connection, check_redis_server
from security_common.service.redis_connection import connect_redis, redis_for_command
from security_common.service.redis_identity import (
    RedisIdentity,
    RedisReplaced,
    SecretReplaced,
    StateMismatch,
    redis_identity_of_service,
)
from security_common.service.running import run_service
from security_common.service.sessions import SessionStore
from security_common.service.settings import ServiceSettings, TextList, check_exact_url, check_public_url
from security_common.service.trusted_issuer_settings import read_trusted_issuers
from security_common.service.yaml_files import parse_yaml

__all__ = [
    "CheckResult",
    "OperatorJournal",
    "OperatorSession",
    "PortTaken",
    "RedisIdentity",
    "RedisMonitor",
    "RedisReplaced",
    "SecretMissing",
    "SecretReplaced",
    "ServiceCookies",
    "ServiceSettings",
    "SessionStore",
    "StateMismatch",
    "TextList",
    "check_exact_url",
    "check_public_url",
    "check_redis",
    "check_redis_connection",
    "check_redis_server",
    "configure_logs",
    "connect_redis",
    "operator_journal",
    "operator_session",
    "parse_yaml",
    "print_check_results",
    "read_secret",
    "read_trusted_issuers",
    "redis_for_command",
    "redis_identity_of_service",
    "require_secret_file",
    "run_service",
    "secrets_in_use",
    "serving_metrics",
]
