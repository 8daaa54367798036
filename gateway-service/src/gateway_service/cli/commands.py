"""The commands of `gateway-service`."""

import asyncio
import gc
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from gateway_service.declaration import DeclarationInvalid, GatewayDeclaration, load_declaration
from gateway_service.settings import SERVICE, GatewaySettings
from security_common.cli import run_command_line
from security_common.service import configure_logs, print_check_results, redis_for_command, run_service

__all__ = ["main"]

app = App(
    name="gateway-service",
    help="The MCP gateway. Settings come from GATEWAY_ and SECURITY_ variables: docs/configuration.md.",
    version=lambda: version("mcp-oauth2-gateway-service"),
)
redis = App(name="redis", version_flags=[], help="The Redis of this service: accept.")
app.command(redis)

KeepPrevious = Annotated[bool, Parameter(name="--keep-previous", negative="")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]


@app.command
def serve() -> None:
    """Run in the foreground until SIGTERM or Ctrl-C.

    Example: GATEWAY_UPSTREAMS=gateway.yaml gateway-service serve
    """
    run_service(GatewaySettings, service=SERVICE, load=_load)


def _load() -> Callable[[GatewaySettings], Any]:
    from gateway_service.app import create_app  # noqa: PLC0415 - too slow to import for --help

    return lambda settings: create_app(settings, _declaration(settings))


@app.command
def doctor(*, as_json: AsJson = False) -> None:
    """Check settings, upstreams, issuer, Redis, secrets and the audit folder. Exit status 1 if there is a problem.

    Example: gateway-service doctor --json
    """
    settings = GatewaySettings()
    from gateway_service.cli.doctor import examine  # noqa: PLC0415 - as above

    _log_to_stderr(settings)
    results = asyncio.run(examine(settings, _declaration(settings)))
    print_check_results(results, as_json=as_json, catalogues=["gateway_service.cli"])


@app.command
def tools(*, as_json: AsJson = False) -> None:
    """Ask every upstream for its tools, prompts and resources, and print them with the scopes and policies that apply.

    Example: gateway-service tools
    """
    settings = GatewaySettings()
    from gateway_service.cli.tools import print_tools  # noqa: PLC0415 - as above

    _log_to_stderr(settings)
    asyncio.run(print_tools(settings, _declaration(settings), as_json=as_json))


@app.command
def pin() -> None:
    """Ask every upstream for its definitions, and print how they differ from gateway.lock, with reasons to be careful.

    `gateway-service approve` then writes what was printed to gateway.lock.

    Example: gateway-service pin
    """
    settings = GatewaySettings()
    from gateway_service.cli import pin as commands  # noqa: PLC0415 - as above

    _log_to_stderr(settings)
    asyncio.run(commands.pin(settings, _declaration(settings)))


@app.command
def diff(*, as_json: AsJson = False) -> None:
    """Print how the definitions of the upstreams differ from gateway.lock. Exit status 1 if they do.

    Example: gateway-service diff --json
    """
    settings = GatewaySettings()
    from gateway_service.cli import pin as commands  # noqa: PLC0415 - as above

    _log_to_stderr(settings)
    asyncio.run(commands.compare(settings, _declaration(settings), as_json=as_json))


@app.command
def approve(*names: str, keep_previous: KeepPrevious = False, sign: Path | None = None) -> None:
    """Write what `pin` has printed last to gateway.lock, and record in the audit trail who has approved it.

    Example: gateway-service approve crm_find_customer --keep-previous

    Parameters
    ----------
    names
        Upstreams, or tools as <upstream>_<tool>; everything if none is named.
    keep_previous
        Also accept the former definition, while two releases of the server run beside each other. An approval without
        this option ends that.
    sign
        A file with a private Ed25519 key (PEM), with which gateway.lock is signed: GATEWAY_LOCK_KEYS_FILE.

    """
    settings = GatewaySettings()
    from gateway_service.cli.pin import approve_pending  # noqa: PLC0415 - as above

    asyncio.run(approve_pending(settings, _declaration(settings), names, keep_previous=keep_previous, key_file=sign))


@app.command(name="import")
def import_file(
    file: Path,
    /,
    *,
    to: Annotated[Path | None, Parameter(name="--to")] = None,
    secrets_to: Annotated[Path | None, Parameter(name="--secrets-to")] = None,
) -> None:
    """Write gateway.yaml and gateway.lock for the servers of an mcpServers file, with every tool and a scope for it.

    Example: gateway-service import mcp.json --secrets-to secrets

    Parameters
    ----------
    file
        A JSON file with `mcpServers`, or with `servers` as VS Code has it.
    to
        The folder of gateway.yaml; without it, that of the file.
    secrets_to
        A folder to which the values of headers and of programs' variables are moved, each to a file of its own.

    """
    from gateway_service.cli.import_servers import import_servers  # noqa: PLC0415 - as above

    _log_to_stderr(GatewaySettings())
    asyncio.run(import_servers(file, to or file.parent, secrets_to))


@app.command
def suggest() -> None:
    """Print rules for every tool, as YAML to check and to copy into gateway.yaml. Nothing is changed.

    Example: gateway-service suggest
    """
    settings = GatewaySettings()
    from gateway_service.cli.suggest import print_suggestions  # noqa: PLC0415 - as above

    _log_to_stderr(settings)
    asyncio.run(print_suggestions(settings, _declaration(settings)))


@app.command
def call(tool: str, arguments: str = "{}", /, *, token_file: Path | None = None, address: str = "") -> None:
    """Call a tool through the running gateway, and print its result as JSON.

    Example: local-stack token --resource http://localhost:8083/mcp | gateway-service call crm_find '{"id": "c_1"}'

    Parameters
    ----------
    tool
        The name of the tool at the address.
    arguments
        A JSON object.
    token_file
        A file with the access token for the address; without it, standard input is read.
    address
        The name of an upstream, to use the address with this one alone.

    """
    settings = GatewaySettings()
    from gateway_service.cli.call import call_tool  # noqa: PLC0415 - as above

    asyncio.run(call_tool(settings, tool, arguments, token_file=token_file, upstream=address))


@app.command
def bridge(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    host: str = "127.0.0.1",
    port: int = 8090,
    token_file: Path | None = None,
    env: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    most: int = 8,
    idle_seconds: float = 600,
    memory_mib: int = 512,
    processes: int = 64,
) -> None:
    """Serve a program that speaks MCP over its standard input and output at /mcp over Streamable HTTP.

    For a container of its own, so that a gateway reaches the program by URL. Clients of older versions get an instance
    of the program with each session.

    Example: gateway-service bridge --port 8090 --env API_KEY -- mcp-server-files /data

    Parameters
    ----------
    command
        The program and its arguments, after `--`.
    host
        The address to listen at. Elsewhere than on loopback, use --token-file as well.
    port
        The port to listen at.
    token_file
        A file with a secret that clients have to send as `Authorization: Bearer`.
    env
        The name of a variable that the program receives; can be repeated. Others are not passed on but PATH and LANG.
    most
        How many instances run at the same time.
    idle_seconds
        After which time without a request an instance is ended.
    memory_mib
        How much memory an instance may use, with all processes that it starts.
    processes
        How many processes an instance may have.

    """
    settings = GatewaySettings()
    from gateway_service.cli.bridge import BridgeOptions, serve_bridge  # noqa: PLC0415 - as above

    configure_logs(settings, service=SERVICE)
    options = BridgeOptions(
        host=host,
        port=port,
        token_file=token_file,
        variables=env,
        max_instances=most,
        idle_seconds=idle_seconds,
        memory_mib=memory_mib,
        max_processes=processes,
    )
    serve_bridge(settings, command, options)


@app.command(name="auth-declaration")
def auth_declaration() -> None:
    """Print the resources and scopes of this gateway in the form of auth.yaml, for auth-service.

    Example: gateway-service auth-declaration >> auth.yaml
    """
    settings = GatewaySettings()
    from gateway_service.cli.auth_declaration import render  # noqa: PLC0415 - as above

    print(render(settings, _declaration(settings)), end="")


@redis.command
def accept() -> None:
    """Accept the current Redis, after it lost its data or was replaced by another one.

    Until then the service is not ready. Placeholders that were in the lost Redis are not valid any more.

    Example: gateway-service redis accept
    """
    from gateway_service.redis_identity import open_redis_identity  # noqa: PLC0415 - as above

    async def accept_redis(settings: GatewaySettings) -> bool:
        async with redis_for_command(settings) as connection:
            return await open_redis_identity(settings, connection).accept()

    accepted = asyncio.run(accept_redis(GatewaySettings()))
    print("accepted" if accepted else "nothing to accept: this Redis is the one that was used before")


def _log_to_stderr(settings: GatewaySettings) -> None:
    """Warnings of a command that asks upstreams; its standard output is for the result."""
    configure_logs(settings.model_copy(update={"log_level": "warning"}), service=SERVICE)


def _declaration(settings: GatewaySettings) -> GatewayDeclaration:
    if settings.upstreams is None:
        hint = "name a gateway.yaml, or the file with `mcpServers` that you have: docs/gateway.md"
        raise DeclarationInvalid("GATEWAY_UPSTREAMS is not set", hint=hint)
    return load_declaration(settings.upstreams, os.environ)


def main() -> None:
    """Runs the command line. Exits with status 1 and `error:` and `hint:` on stderr after an error."""
    gc.disable()  # a start is faster without the collector; `serve` enables it
    run_command_line(lambda: app, catalogues=["gateway_service.cli"])
