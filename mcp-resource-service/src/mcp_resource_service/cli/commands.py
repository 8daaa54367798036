"""The commands and how their errors are shown."""

import asyncio
import gc
import json
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from mcp_resource_service.settings import ResourceSettings
from security_common.cli import run_command_line
from security_common.service import configure_logs, print_check_results
from security_common.service import serve as serve_application
from security_common.setting_names import unknown_setting_notices

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
    settings = ResourceSettings()
    from mcp_resource_service.app import SERVICE, create_app  # noqa: PLC0415 - FastMCP: --help must not wait for it

    configure_logs(settings, service=SERVICE)  # after the import: FastMCP brings a handler of its own
    for notice in unknown_setting_notices([ResourceSettings], os.environ):
        logging.getLogger("mcp_resource_service").warning(notice)
    application = create_app(settings)
    serve_application(application, settings, on_drain=application.state.health.start_draining)


@app.command
def doctor(*, as_json: AsJson = False) -> None:
    """Look at settings, issuer, Redis, keys and the audit folder, and say how to fix what is wrong. Exit code 1 then.

    Example: mcp-resource-service doctor --json
    """
    from mcp_resource_service.cli.doctor import examine  # noqa: PLC0415 - as above

    print_check_results(asyncio.run(examine(ResourceSettings())), as_json=as_json)


@redis.command
def accept() -> None:
    """Take the present Redis for good, after it came back empty or was replaced by another one.

    Until then the service is not ready. Records and people that are gone stay gone: where that is possible, restore the
    old Redis from its files or a backup instead.

    Example: mcp-resource-service redis accept
    """
    from mcp_resource_service.cli.redis import accept_redis  # noqa: PLC0415 - as above

    accepted = asyncio.run(accept_redis(ResourceSettings()))
    print("accepted" if accepted else "this Redis is the one that was used before: nothing to accept")


@user.command(name="import")
def import_people(file: Annotated[Path, Parameter(allow_leading_hyphen=True)], /, *, as_json: AsJson = False) -> None:
    """Store people in the directory, encrypted; a person imported before is replaced.

    FILE is UTF-8: CSV with a header line (name,email,phone,department,position, optionally person_id) or JSON Lines;
    `-` reads standard input. Prints each person's opaque id, never their data.

    Example: mcp-resource-service user import people.csv
    """
    from mcp_resource_service.cli.importing import import_people_of  # noqa: PLC0415 - as above

    raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    ids = asyncio.run(import_people_of(ResourceSettings(), raw))
    print(json.dumps({"imported": ids}) if as_json else "\n".join(ids))


def main() -> None:
    """Runs the command line; exits 1 with `error:` and `hint:` on stderr when something is wrong."""
    # Imports make much garbage and few cycles: without the collector a start is a third faster. Serving turns it on.
    gc.disable()
    run_command_line(lambda: app)
