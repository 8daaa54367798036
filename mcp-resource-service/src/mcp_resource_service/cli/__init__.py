"""The command `mcp-resource-service`: serve, doctor, redis accept, user import.

Results are printed to stdout and messages to stderr. An error is two lines, `error:` and `hint:`, with exit status 1.
"""

from mcp_resource_service.cli.commands import main

__all__ = ["main"]
