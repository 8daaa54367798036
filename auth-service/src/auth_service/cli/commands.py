"""The commands, each from its own module."""

import logging
from importlib.metadata import version

from cyclopts import App

from auth_service.cli.clients import clients
from auth_service.cli.consents import consents
from auth_service.cli.doctor import doctor
from auth_service.cli.keys import keys
from auth_service.cli.redis import redis_commands
from auth_service.cli.serve import serve
from auth_service.cli.token import token
from auth_service.cli.users import users

__all__ = ["app"]

app = App(
    name="auth-service",
    help="OAuth 2.1 and OpenID Connect for MCP servers.",
    version=lambda: version("mcp-oauth2-auth-service"),
    result_action="return_value",
)
app.command(serve)
app.command(clients)
app.command(users)
app.command(consents)
app.command(keys)
app.command(redis_commands)
app.command(token)
app.command(doctor)

# What the journal warns of concerns the service, which says it in its own log.
logging.getLogger("security_common").addHandler(logging.NullHandler())
