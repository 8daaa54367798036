"""The `security-common` command. Each group of commands is a module that is imported when it is needed."""

from importlib.metadata import version

from cyclopts import App

from security_common.cli.command_line import run_command_line

__all__ = ["app", "main", "run_command_line"]

# 0 and 1 are the results of `audit verify` and `pii scan`. A failure has a status of its own, as with grep and diff.
_FAILURE_STATUS = 2


def _version() -> str:
    return version("mcp-oauth2-security-common")


# cyclopts does not import the groups to list them, so they are described here.
app = App(
    name="security-common",
    help="""Personal data, keys and the audit trail of MCP servers.

`audit` reads and verifies the audit trail, `backup` writes and restores archives of all state, `keys` manages the
keyring of field encryption, `pii` finds and masks personal data in a text file, and `setup` creates the secrets that do
not exist yet. Each has `--help`.

Example: security-common audit tail --help
""",
    version=_version,
)

app.command("security_common.cli.pii:app", name="pii")
app.command("security_common.cli.keys:app", name="keys")
app.command("security_common.cli.setup:app", name="setup")
app.command("security_common.cli.audit:app", name="audit")
app.command("security_common.cli.backup:app", name="backup")


def main() -> None:
    """Runs the command in the arguments. The exit status is 2 if it fails."""
    run_command_line(lambda: app, failure_status=_FAILURE_STATUS)
