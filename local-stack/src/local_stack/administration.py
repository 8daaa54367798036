"""Runs the services' commands with the settings of the stack that was started last (`make admin`)."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local_stack.errors import StackError
from local_stack.given_settings import without_settings
from local_stack.stack import AUTH, GATEWAY, MCP, Stack
from security_common.cli.setup import make_secrets
from security_common.setting_names import AUDIT_KEYS_VARIABLE

__all__ = ["COMMANDS", "export_lines", "run_command"]

COMMANDS = (AUTH, MCP, GATEWAY, "security-common")
# Each service has its own value. Without them, a command finds the key of a service beside that service's journal.
_PER_SERVICE = frozenset({"SECURITY_AUDIT_CHAIN_KEY_FILE", "SECURITY_AUDIT_CHECKPOINT_KEY_FILE"})


def export_lines(stack: Stack, service: str | None) -> str:
    """Returns `export` lines for a shell: the settings of one service, or those that all commands share.

    Missing secrets are created, so that the lines are also valid before the first start.
    """
    settings = {**_settings_with_secrets(stack, service), "REDIS_PORT": str(stack.ports.redis)}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items()))


def run_command(stack: Stack, command: Sequence[str]) -> int:
    """Runs one of `COMMANDS` with its arguments and returns its exit status. Raises `StackError` for any other."""
    if not command or command[0] not in COMMANDS:
        raise StackError(
            "there is no such command" if command else "no command is given",
            hint=f'the first word is one of {", ".join(COMMANDS)}, for example: make admin ARGS="{AUTH} user list"',
        )
    name = command[0]
    settings = _settings_with_secrets(stack, None if name == "security-common" else name)
    program = str(Path(sys.executable).with_name(name))
    environment = {**without_settings(os.environ), **settings}
    return subprocess.run([program, *command[1:]], env=environment, check=False).returncode


def _settings_with_secrets(stack: Stack, service: str | None) -> dict[str, str]:
    stack.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_secrets(stack.secrets)
    if service == GATEWAY:
        return {**stack.upstream_variables, **stack.settings(service)}
    if service is not None:
        return stack.settings(service)
    _link_chain_keys(stack)
    per_service = _PER_SERVICE - set(stack.overrides)
    # In this order, so that a setting of several services has the value of the resource service.
    of_all = {**stack.upstream_variables, **stack.settings(GATEWAY)} if stack.has_gateway else {}
    of_all |= {**stack.settings(AUTH), **stack.settings(MCP)}
    shared = {name: value for name, value in of_all.items() if name not in per_service}
    if per_service == _PER_SERVICE:
        # For commands that check the journals of all services: the keys of each service are below this folder.
        shared[AUDIT_KEYS_VARIABLE] = str(stack.secrets)
    return shared


def _link_chain_keys(stack: Stack) -> None:
    """Links each service's chain key to the path that the library uses when no variable names one."""
    for service, folder in ((AUTH, "auth"), (MCP, "mcp"), (GATEWAY, "gateway")):
        if service not in stack.servers:
            continue
        link = stack.audit_dir / service / "chain_key"
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not link.is_symlink() and not link.exists():
            link.symlink_to(os.path.relpath(stack.secrets / folder / "audit_chain_key", link.parent))
