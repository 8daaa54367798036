"""The text that is printed once everything is ready: the addresses, and the next commands."""

import os

from local_stack.stack import Stack

__all__ = ["DEMONSTRATION_ONLY", "container_message", "start_message"]

DEMONSTRATION_ONLY = (
    "NOTICE: this image is for demonstration only: both services, their store and their secrets share one container. "
    "compose.yaml separates them."
)


def start_message(stack: Stack) -> str:
    """The message that `make run` prints when everything is ready."""
    next_commands = """make admin ARGS="auth-service client create NAME"
    make admin ARGS="auth-service user list"      run a command of the services"""
    if stack.in_demo_mode:
        next_commands = """make demo                                     run the demo scenario step by step
    make token                                    print an access token
    make admin ARGS="auth-service user list"      run a command of the services"""
    return f"""
  MCP OAuth2 is ready.

{_addresses(stack, 'make admin ARGS="auth-service user add NAME"')}

  Next, in another terminal:
    {next_commands}
    claude mcp add --transport http mcp-oauth2 {stack.resource}

  Logs are in {os.path.relpath(stack.state / "logs")}. Ctrl-C stops everything.
"""


def container_message(stack: Stack) -> str:
    """The message of the one-container image, which has no make."""
    admin = "docker exec -it CONTAINER local-stack admin auth-service"
    next_command = f"{admin} client create NAME"
    if stack.in_demo_mode:
        form = "grant_type=client_credentials&client_id=mcp-client&client_secret=secret&scope=mcp.access"
        next_command = f'curl -X POST {stack.issuer}/oauth2/token -d "{form}"'
    return f"""
  MCP OAuth2 is ready.

{_addresses(stack, f"{admin} user add NAME")}

  Next, in another terminal:
    {next_command}
    claude mcp add --transport http mcp-oauth2 {stack.resource}

  Clients, keys, records and logs are in {stack.state}: mount a volume on {stack.state.parent} to keep them.
"""


def _addresses(stack: Stack, add_user: str) -> str:
    gateway = f"\n  gateway     {stack.gateway_resource}" if stack.has_gateway else ""
    sign_in = "demo / demo            (demo mode)" if stack.in_demo_mode else f"your own user: {add_user}"
    return f"""  issuer      {stack.issuer}
  MCP server  {stack.resource}{gateway}
  audit page  {stack.audit_page}
  sign in as  {sign_in}"""
