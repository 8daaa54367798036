"""The `security-common` command. Each group lives in a module of its own and is imported when it is called."""

import sys

from cyclopts import App

from security_common.errors import SecurityError

__all__ = ["app", "main"]

app = App(name="security-common", help="Personal data, keys and the audit trail of MCP servers.", version_flags=[])
app.command("security_common.cli.pii:app", name="pii")
app.command("security_common.cli.keys:app", name="keys")
app.command("security_common.cli.setup:app", name="setup")
app.command("security_common.cli.audit:app", name="audit")


def main() -> None:
    """Run a command; an error a person can act on becomes an `error:` and a `hint:` line and exit status 2."""
    try:
        app(sys.argv[1:])
    except (SecurityError, OSError) as error:
        hint = f"\nhint: {error.hint}" if isinstance(error, SecurityError) and error.hint else ""
        print(f"error: {error}{hint}", file=sys.stderr)
        sys.exit(2)
