"""The `local-stack` command behind `make run`, `make demo`, `make token` and `make reset`."""

import shutil
import sys
from pathlib import Path

import httpx2
from cyclopts import App

from local_stack.errors import StackError
from local_stack.ports import StackPorts
from local_stack.stack import Stack
from local_stack.supervisor import exclusive, supervise
from security_common.errors import SecurityError

__all__ = ["app", "main"]

app = App(name="local-stack", help="Redis and both services on this machine.", version_flags=[])

STATE = Path(".run")
LOGS = Path("logs")


@app.command
def run() -> None:
    """Start everything and stay in the foreground until Ctrl-C."""
    supervise(STATE.absolute(), StackPorts.from_environment())


@app.command
def demo() -> None:
    """Play the story against whatever runs, with a line for each step; exit status 1 when a step fails."""
    from local_stack.story import tell_story  # noqa: PLC0415 - FastMCP's client: `run` must not wait for it

    stack = _running_stack()
    failed = 0
    for step in tell_story(stack.auth_url, stack.mcp_url):
        print(f"{'✓' if step.held else '✗'} {step.text}{'' if step.held else f' ({step.detail})'}", flush=True)
        failed += not step.held
    sys.exit(failed > 0)


@app.command
def token(*, scope: str = "mcp.access") -> None:
    """Print an access token of the demo client."""
    from local_stack.story import MachineClient  # noqa: PLC0415 - as above

    with httpx2.Client(timeout=10) as http:
        print(MachineClient(_running_stack().auth_url, http).token(scope))


@app.command
def reset() -> None:
    """Drop all state: clients, keys, records, secrets, the audit trail."""
    with exclusive(STATE.absolute()):
        for folder in (STATE, LOGS):
            shutil.rmtree(folder, ignore_errors=True)


def _running_stack() -> Stack:
    """Where the stack is: the ports say it, for compose as well. Raises `StackError` when nothing listens there."""
    stack = Stack(StackPorts.from_environment(), STATE.absolute())
    for url in (stack.auth_url, stack.mcp_url):
        try:
            httpx2.get(f"{url}/livez", timeout=10)
        except httpx2.ConnectError as error:
            raise StackError(f"nothing answers at {url}", hint="start it first: make run") from error
    return stack


def main() -> None:
    """Run a command; an error a person can act on becomes an `error:` and a `hint:` line and exit status 1."""
    try:
        app()
    except SecurityError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        print(f"error: {error.description}{hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
