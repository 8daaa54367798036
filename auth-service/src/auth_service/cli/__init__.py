"""The `auth-service` command: serve, and what an operator asks and changes.

stdout is the result (`--json` for programs), stderr is talk; a failure is one `error:` line and one `hint:` line.
"""

import gc

__all__ = ["main"]


def main() -> None:
    """Runs the command line; exits 1 with `error:` and `hint:` on stderr when something is wrong."""
    # Imports make much garbage and few cycles: without the collector a start takes a tenth less.
    gc.disable()
    from auth_service.cli.commands import run  # noqa: PLC0415 - as just said

    gc.enable()
    run()
