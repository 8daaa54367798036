"""The `auth-service` command: the server, and the commands of an operator.

Results go to stdout (`--json` for programs), messages to stderr. A failure is one `error:` line and one `hint:` line,
and the exit status is 1.
"""

from auth_service.cli.commands import main

__all__ = ["main"]
