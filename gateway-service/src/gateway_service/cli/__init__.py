"""The command `gateway-service`.

serve, bridge, doctor, tools, import, suggest, pin, diff, approve, call, auth-declaration, redis accept.

Results are printed to stdout and messages to stderr. An error is two lines, `error:` and `hint:`, with exit status 1.
"""

from gateway_service.cli.commands import main

__all__ = ["main"]
