"""The `security-common` command. Each group is a module of its own, imported when one of its commands is called."""

from importlib.metadata import version

from cyclopts import App

from security_common.cli.command_line import run_command_line

__all__ = ["app", "main", "run_command_line"]

# `audit verify` and `pii scan` answer with 0 or 1; what could not be looked at is told apart, as grep and diff do.
_COULD_NOT_BE_DONE = 2


def _version() -> str:
    return version("mcp-oauth2-security-common")


# The groups are described here: cyclopts does not import them for the list of commands.
app = App(
    name="security-common",
    help="""Personal data, keys and the audit trail of MCP servers.

`audit` reads and verifies the audit trail, `keys` manages the keyring of field encryption, `pii` finds and masks
personal data in a text file, and `setup` makes every secret that nobody gave. Each has `--help`.

Example: security-common audit tail --help
""",
    version=_version,
)

app.command("security_common.cli.pii:app", name="pii")
app.command("security_common.cli.keys:app", name="keys")
app.command("security_common.cli.setup:app", name="setup")
app.command("security_common.cli.audit:app", name="audit")


def main() -> None:
    """Runs the command that the arguments name; exit status 2 when it fails."""
    run_command_line(lambda: app, failure_status=_COULD_NOT_BE_DONE)
