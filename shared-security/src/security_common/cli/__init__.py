"""The `security-common` command. Each group lives in a module of its own and is imported when it is called."""

import sys

from cyclopts import App
from pydantic import ValidationError

from security_common.errors import SecurityError
from security_common.settings import explain_settings

__all__ = ["app", "main"]

app = App(name="security-common", help="Personal data, keys and the audit trail of MCP servers.", version_flags=[])
app.command("security_common.cli.pii:app", name="pii")
app.command("security_common.cli.keys:app", name="keys")
app.command("security_common.cli.setup:app", name="setup")
app.command("security_common.cli.audit:app", name="audit")


def main() -> None:
    """Run a command; an error a person can act on becomes an `error:` and a `hint:` line and exit status 2."""
    try:
        app()
    except SecurityError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        print(f"error: {error.description}{hint}", file=sys.stderr)
        sys.exit(2)
    except ValidationError as error:
        print(f"error: {explain_settings(error)}", file=sys.stderr)
        sys.exit(2)
