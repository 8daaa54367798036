"""The commands, each from its own module."""

import logging
import sys

from cyclopts import App
from redis.exceptions import RedisError

from auth_service.cli.clients import clients
from auth_service.cli.consents import consents
from auth_service.cli.doctor import doctor
from auth_service.cli.keys import keys
from auth_service.cli.serve import serve
from auth_service.cli.token import token
from auth_service.cli.users import users
from security_common.errors import SecurityError

__all__ = ["run"]

app = App(
    name="auth-service",
    help="OAuth 2.1 and OpenID Connect for MCP servers.",
    version_flags=["--version"],
    result_action="return_value",
)
app.command(serve)
app.command(clients)
app.command(users)
app.command(consents)
app.command(keys)
app.command(token)
app.command(doctor)


def run() -> None:
    """Runs the command that the arguments name."""
    # What the journal warns of concerns the service, which says it in its own log.
    logging.getLogger("security_common").addHandler(logging.NullHandler())
    try:
        app(sys.argv[1:])
    except SecurityError as error:
        _fail(error.description, error.hint)
    except (RedisError, OSError) as error:
        _fail(
            f"Redis cannot be used: {error}", "check AUTH_REDIS_URL and AUTH_REDIS_PASSWORD_FILE, and that Redis runs"
        )


def _fail(description: str, hint: str) -> None:
    print(f"error: {description}" + (f"\nhint: {hint}" if hint else ""), file=sys.stderr)
    sys.exit(1)
