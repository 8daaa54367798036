"""The commands of `mcp-resource-service`."""

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.cli import run_command_line
from security_common.service import print_check_results, run_service

__all__ = ["main"]

app = App(
    name="mcp-resource-service",
    help="The MCP resource service. Settings come from MCP_ and SECURITY_ variables: docs/configuration.md.",
    version=lambda: version("mcp-oauth2-mcp-resource-service"),
)
user = App(name="user", version_flags=[], help="The directory that get_user_info reads.")
redis = App(name="redis", version_flags=[], help="The Redis of this service: accept.")
app.command(user)
app.command(redis)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]


@app.command
def serve() -> None:
    """Run in the foreground until SIGTERM or Ctrl-C.

    Example: MCP_PORT=9082 mcp-resource-service serve
    """
    run_service(ResourceSettings, service=SERVICE, load=_load)


def _load() -> Callable[[ResourceSettings], Any]:
    from mcp_resource_service.app import create_app  # noqa: PLC0415 - imports FastMCP, too slow for --help

    return create_app


@app.command
def doctor(*, as_json: AsJson = False) -> None:
    """Check settings, issuer, Redis, keys and the audit folder. Prints how to fix problems; exit status 1 if any.

    Example: mcp-resource-service doctor --json
    """
    from mcp_resource_service.cli.doctor import examine  # noqa: PLC0415 - as above

    results = asyncio.run(examine(ResourceSettings()))
    print_check_results(results, as_json=as_json, catalogues=["mcp_resource_service.cli"])


@redis.command
def accept() -> None:
    """Accept the current Redis, after it lost its data or was replaced by another one.

    Until then the service is not ready. Lost records and people are not restored: if possible, restore the previous
    Redis from its files or from a backup instead.

    Example: mcp-resource-service redis accept
    """
    from mcp_resource_service.cli.stores import accept_redis  # noqa: PLC0415 - as above

    accepted = asyncio.run(accept_redis(ResourceSettings()))
    print("accepted" if accepted else "nothing to accept: this Redis is the one that was used before")


@user.command(name="import")
def import_file(file: Annotated[Path, Parameter(allow_leading_hyphen=True)], /, *, as_json: AsJson = False) -> None:
    """Store people in the directory, encrypted. A person who was imported before is replaced.

    FILE is UTF-8: CSV with a header line (name,email,phone,department,position, optionally person_id) or JSON Lines;
    `-` reads standard input. Prints the opaque id of each person and no personal data.

    Example: mcp-resource-service user import people.csv
    """
    from mcp_resource_service.cli.stores import import_people  # noqa: PLC0415 - as above

    content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    ids = asyncio.run(import_people(ResourceSettings(), content))
    print(json.dumps({"imported": ids}) if as_json else "\n".join(ids))


def main() -> None:
    """Runs the command line. Exits with status 1 and `error:` and `hint:` on stderr after an error."""
    # Imports allocate much and leave few cycles: a start is a third faster without the collector. `serve` enables it.
    gc.disable()
    run_command_line(lambda: app, catalogues=["mcp_resource_service.cli"])
