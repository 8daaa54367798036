"""The commands by name. The module of a command is imported when the command is called."""

import gc
import logging
from importlib.metadata import version

from cyclopts import App

from security_common.cli import run_command_line

__all__ = ["app", "main"]

app = App(
    name="auth-service",
    help="OAuth 2.1 and OpenID Connect for MCP servers.",
    version=lambda: version("mcp-oauth2-auth-service"),
    result_action="return_value",
)
app.command(
    "auth_service.cli.serve:serve",
    help="""Serve until SIGTERM or SIGINT; requests in progress get ten seconds to finish.

Settings come from AUTH_ and SECURITY_ variables, see docs/configuration.md.

For example: AUTH_DEMO=true auth-service serve
""",
)
app.command("auth_service.cli.client_commands:clients", name="client", help="Clients: list, create, delete.")
app.command(
    "auth_service.cli.user_commands:users",
    name="user",
    help="People who sign in: list, add, password, role, disable, delete, link, unlink, identities, allow, import.",
)
app.command("auth_service.cli.provider_commands:providers", name="provider", help="Identity providers: try.")
app.command(
    "auth_service.cli.consent_commands:consents", name="consent", help="What users have allowed clients: list, revoke."
)
app.command(
    "auth_service.cli.key_commands:keys",
    name="key",
    help="Signing keys: list, rotate, revoke. They are created and rotated automatically.",
)
app.command("auth_service.cli.redis_commands:redis_commands", name="redis", help="The Redis of this service: accept.")
app.command(
    "auth_service.cli.token_command:token",
    help="""Print an access token that the running service issued by client_credentials.

Without --secret-file, the secret of the demo client is sent.

For example: auth-service token --client-id batch --secret-file batch.secret --scope mcp.access
""",
)
app.command(
    "auth_service.cli.doctor:doctor",
    help="""Check declaration, Redis, keys, clock and issuer, and say how to fix what is wrong; exit 1 if anything is.

For example: auth-service doctor --json
""",
)

# A command that opens the journal writes its own messages; the journal's log lines are for the running service.
logging.getLogger("security_common").addHandler(logging.NullHandler())


def main() -> None:
    """Runs the command line; exits 1 with `error:` and `hint:` on stderr when something is wrong."""
    # Imports allocate much and create few cycles: without the collector a start takes a tenth less time. The server
    # enables it again (`security_common.service.server`); the other commands are short.
    gc.disable()
    run_command_line(lambda: app, catalogues=["auth_service.cli"])
