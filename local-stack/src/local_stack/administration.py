"""The services' own commands next to `make run`, with the settings of the stack that was started last."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local_stack.errors import StackError
from local_stack.given_settings import without_settings
from local_stack.stack import AUTH, MCP, Stack
from security_common.cli.setup import make_secrets

__all__ = ["COMMANDS", "export_lines", "run_command"]

COMMANDS = (AUTH, MCP, "security-common")
# Each service has its own. Without them a command finds the key of the service that it works on beside the journal.
_OF_ONE_SERVICE = frozenset({"SECURITY_AUDIT_CHAIN_KEY_FILE", "SECURITY_AUDIT_CHECKPOINT_KEY_FILE"})


def export_lines(stack: Stack, service: str | None) -> str:
    """`export` lines for a shell: the settings of one service, or those that serve all commands and the library.

    Secrets that nobody gave are made, so that the lines are of use before the first start as well.
    """
    settings = {**_prepared(stack, service), "REDIS_PORT": str(stack.ports.redis)}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items()))


def run_command(stack: Stack, command: Sequence[str]) -> int:
    """Runs one of `COMMANDS` with its arguments and returns its exit status. Raises `StackError` for any other."""
    if not command or command[0] not in COMMANDS:
        raise StackError(
            "there is no such command" if command else "no command is given",
            hint=f'it begins with {", ".join(COMMANDS)}, for example: make admin ARGS="{AUTH} user list"',
        )
    name = command[0]
    settings = _prepared(stack, name if name in (AUTH, MCP) else None)
    program = str(Path(sys.executable).with_name(name))
    environment = {**without_settings(os.environ), **settings}
    return subprocess.run([program, *command[1:]], env=environment, check=False).returncode


def _prepared(stack: Stack, service: str | None) -> dict[str, str]:
    stack.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_secrets(stack.secrets)
    if service is not None:
        return stack.settings(service)
    _link_chain_keys(stack)
    of_one = _OF_ONE_SERVICE - set(stack.overrides)
    both = {**stack.settings(AUTH), **stack.settings(MCP)}
    shared = {name: value for name, value in both.items() if name not in of_one}
    if of_one == _OF_ONE_SERVICE:
        # For commands that check what all services wrote: each service's part with the keys below this folder.
        shared["SECURITY_AUDIT_KEYS_DIR"] = str(stack.secrets)
    return shared


def _link_chain_keys(stack: Stack) -> None:
    """Puts each service's chain key where the library looks for it when no variable names one."""
    for service, folder in ((AUTH, "auth"), (MCP, "mcp")):
        link = stack.audit_dir / service / "chain_key"
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not link.is_symlink() and not link.exists():
            link.symlink_to(os.path.relpath(stack.secrets / folder / "audit_chain_key", link.parent))
