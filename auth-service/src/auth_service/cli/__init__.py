"""The `auth-service` command: serve, and what an operator asks and changes.

stdout is the result (`--json` for programs), stderr is for messages. A failure is one `error:` line and one `hint:`
line.
"""

import gc

from cyclopts import App

from security_common.cli import run_command_line

__all__ = ["main"]


def main() -> None:
    """Runs the command line; exits 1 with `error:` and `hint:` on stderr when something is wrong."""
    # Imports make much garbage and few cycles: without the collector a start takes a tenth less.
    gc.disable()
    run_command_line(_load)


def _load() -> App:
    from auth_service.cli.commands import app  # noqa: PLC0415 - with the collector off, see `main`

    gc.enable()
    return app
