"""`gateway-service bridge`: one program over Streamable HTTP, for a container of its own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import structlog
import uvicorn

from gateway_service.bridge import BridgeAccess, BridgeEndpoint, ProgramSessions
from gateway_service.declaration import ProgramDeclaration, ToolRule, UpstreamDeclaration
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.stdio_transport import StdioTransport
from security_common.errors import SecurityError
from security_common.pii import open_pii_detector
from security_common.secret_files import read_secret_file
from security_common.service.listening_socket import bind_socket
from security_common.service.server import server_config
from security_common.tool_policy.policy import PIIPolicy
from security_common.web_urls import is_loopback_host

__all__ = ["BridgeOptions", "serve_bridge"]

# The gateway in front of the bridge decides how long it waits; without one, a client does.
MAX_CALL_SECONDS = 3600.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
GRACEFUL_STOP_SECONDS = 5

log = structlog.get_logger("gateway_service")


class BridgeNotStarted(SecurityError):
    """An option of the command cannot be used."""

    error: ClassVar[str] = "bridge_not_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOptions:
    """The options of the command; memory is in MiB."""

    host: str
    port: int
    token_file: Path | None
    variables: Sequence[str]
    max_instances: int
    idle_seconds: float
    memory_mib: int
    max_processes: int


def serve_bridge(settings: GatewaySettings, command: Sequence[str], options: BridgeOptions) -> None:
    """Serves the program until SIGTERM or SIGINT. Raises `BridgeNotStarted` and `SecretMissing`."""
    if not command:
        raise BridgeNotStarted("there is no program to run", hint="gateway-service bridge -- program arguments")
    missing = [name for name in options.variables if name not in os.environ]
    if missing:
        raise BridgeNotStarted(f"the variable {missing[0]} is not set", hint="set it, or leave out its `--env`")
    is_loopback_only = is_loopback_host(options.host)
    token = read_secret_file(options.token_file, setting="--token-file") if options.token_file else None
    if token is None and not is_loopback_only:
        log.warning(
            "bridge_without_token",
            notice="every client that reaches this port can use the program",
            hint="use --token-file, and `credential: {secret_file: ...}` in gateway.yaml",
        )
    program = ProgramDeclaration(
        command=tuple(command),
        folder=Path.cwd(),
        environment={name: os.environ[name] for name in options.variables},
        max_instances=options.max_instances,
        idle_seconds=options.idle_seconds,
        memory_bytes=options.memory_mib * 1024 * 1024,
        max_processes=options.max_processes,
    )
    declaration = UpstreamDeclaration(
        name="bridge",
        program=program,
        default_rule=ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE),
        silent_seconds=MAX_CALL_SECONDS,
        longest_seconds=MAX_CALL_SECONDS,
        max_result_bytes=MAX_MESSAGE_BYTES,
    )
    transport = StdioTransport(declaration, program, open_pii_detector(settings.security).mask_text)
    access = BridgeAccess(is_loopback_only=is_loopback_only, token=token)
    application = BridgeEndpoint(ProgramSessions(declaration.name, transport), access)
    try:
        listener = bind_socket(options.host, options.port)
    except OSError as failure:
        problem = f"cannot listen at {options.host}:{options.port}: {failure.strerror}"
        raise BridgeNotStarted(problem, hint="choose another --port or --host") from failure
    config = server_config(application, graceful_stop_seconds=GRACEFUL_STOP_SECONDS)
    log.info("bridge_serves", url=f"http://{options.host}:{options.port}/mcp", program=command[0])
    uvicorn.Server(config).run(sockets=[listener])
