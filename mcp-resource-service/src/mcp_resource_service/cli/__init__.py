"""The command `mcp-resource-service`: serve, doctor, user import.

Results go to stdout, talk to stderr. An error is two lines, `error:` and `hint:`, and the exit code is 1.
"""

from mcp_resource_service.cli.commands import main

__all__ = ["main"]
