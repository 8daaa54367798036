"""The `local-stack` command behind `make run`, `make demo`, `make token`, `make admin`, `make backup` and the like."""

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import httpx2
from cyclopts import App, Parameter

from local_stack.administration import export_lines, run_command
from local_stack.errors import StackError
from local_stack.last_run import find_problem, find_running_stack, last_stack
from local_stack.messages import CATALOGUES, localize
from local_stack.stack import AUTH, GATEWAY, MCP
from local_stack.start_message import DEMONSTRATION_ONLY, container_message, start_message
from local_stack.supervisor import exclusive, supervise
from security_common.cli.command_line import use_language_of_locale
from security_common.errors import SecurityError

__all__ = ["app", "main"]

app = App(name="local-stack", help="Run Redis and both services on this machine.", version_flags=[])

STATE = Path(".run")
LOGS = Path("logs")


@app.command
def run(*, in_container: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Start everything and stay in the foreground until Ctrl-C.

    Every AUTH_, MCP_, GATEWAY_ and SECURITY_ variable is passed to the services; docs/configuration.md lists them. With
    GATEWAY_UPSTREAMS, which names a file as in docs/gateway.md, the gateway is started as well.

    Example: AUTH_ACCESS_TOKEN_LIFETIME_SECONDS=300 local-stack run

    Parameters
    ----------
    in_container
        Print the next commands for a user outside of the container. The Dockerfile in the repository root uses this.

    """
    if in_container:
        print(localize(DEMONSTRATION_ONLY), file=sys.stderr, flush=True)
    supervise(STATE.absolute(), os.environ, container_message if in_container else start_message)


@app.command
def demo() -> None:
    """Run the demo scenario against the running stack, one line for each step. Exit status 1 if a step fails."""
    stack = find_running_stack(STATE.absolute(), os.environ)
    from local_stack.demo_scenario import run_scenario  # noqa: PLC0415 - imports FastMCP's client, which `run` does not need

    has_failed = False
    for step in run_scenario(stack.auth_url, stack.mcp_url):
        detail = "" if step.passed else f" ({step.detail})"
        print(f"{'✓' if step.passed else '✗'} {localize(step.text)}{detail}", flush=True)
        if not step.passed:
            has_failed = True
    sys.exit(1 if has_failed else 0)


@app.command
def token(*, scope: str = "mcp.access", resource: str = "") -> None:
    """Print an access token of the demo client.

    Example: local-stack token --scope "mcp.access mcp.decrypt"

    Parameters
    ----------
    scope
        The scopes of the token, separated by spaces.
    resource
        What the token is for, such as an address of the gateway. Without it, the token is for the resource service.

    """
    stack = find_running_stack(STATE.absolute(), os.environ)
    from local_stack.demo_scenario import MachineClient  # noqa: PLC0415 - see `demo`

    with httpx2.Client(timeout=10) as http:
        answer = MachineClient(stack.auth_url, http).request_token(scope=scope, resource=resource)
    if not answer.is_success:
        raise StackError(
            f"auth-service answers {answer.status_code}: {answer.text[:300]}",
            hint="the client mcp-client/secret exists in demo mode only, with the scopes mcp.access and mcp.decrypt",
        )
    print(answer.json()["access_token"])


@app.command
def env(service: Literal["auth", "mcp", "gateway"] | None = None, /) -> None:
    """Print the settings of the stack that was started last, as `export` lines.

    Without SERVICE they are the settings for all commands of the services and the library. With it they are the
    settings of that service. Missing secrets are created.

    Example: eval "$(.venv/bin/local-stack env)"
    """
    names = {"auth": AUTH, "mcp": MCP, "gateway": GATEWAY, None: None}
    print(export_lines(last_stack(STATE.absolute(), os.environ), names[service]))


@app.command(help_flags=[])  # `admin auth-service --help` is for auth-service
def admin(*command: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a command of the services with the settings of the stack that was started last.

    Example: local-stack admin auth-service user list

    Example: local-stack admin security-common audit verify --help

    Parameters
    ----------
    command
        A command of auth-service, mcp-resource-service, gateway-service or security-common, with its arguments.

    """
    if command in {("--help",), ("-h",)}:
        app.help_print(["admin"])
        return
    stack = last_stack(STATE.absolute(), os.environ)
    status = run_command(stack, command)
    problem = find_problem(stack) if status else None
    if problem is not None:
        reason = localize(problem)
        print(f"hint: {localize(f'{reason}; start it first: make run')}", file=sys.stderr)
    sys.exit(status)


@app.command
def backup(file: Path | None = None, /) -> None:
    """Write Redis, the audit journals and the secrets of the stack to FILE, also while it runs.

    The archive contains every secret: encrypt it, and keep it where only operators can read it. Without FILE its name
    is backup-<time>.tar.gz, in this folder.

    Example: local-stack backup before-upgrade.tar.gz
    """
    stack = last_stack(STATE.absolute(), os.environ)
    from local_stack.backups import back_up  # noqa: PLC0415 - `run` does not need it

    for notice in back_up(stack, file or Path(f"backup-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")):
        print(localize(notice), flush=True)


@app.command
def restore(file: Path, /) -> None:
    """Restore the state of the stack from FILE while it does not run. An existing state is never overwritten.

    Example: local-stack restore before-upgrade.tar.gz
    """
    from local_stack.backups import restore_state  # noqa: PLC0415 - `run` does not need it

    with exclusive(STATE.absolute()):
        print(localize(restore_state(last_stack(STATE.absolute(), os.environ), file)), flush=True)


@app.command
def reset(*, yes: Annotated[bool, Parameter(negative="", env_var="YES")] = False) -> None:
    """Delete all state of `local-stack run`, after a confirmation.

    Parameters
    ----------
    yes
        Do not ask for confirmation.

    """
    with exclusive(STATE.absolute()):
        _confirm(yes)
        for folder in (STATE, LOGS):
            shutil.rmtree(folder, ignore_errors=True)


def _confirm(yes: bool) -> None:
    """Raises `StackError` unless the user confirms."""
    folders = ", ".join(str(folder.absolute()) for folder in (STATE, LOGS) if folder.exists())
    warning = (
        f"This deletes {folders}: clients, accounts, consents, signing and encryption keys, stored records,"
        " and the audit trail. It cannot be undone."
    )
    print(localize(warning), file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise StackError("nothing was deleted: a confirmation needs a terminal", hint="YES=1 make reset")
    if input(localize("Delete it? [y/N] ")).strip().lower() not in {"y", "yes"}:
        raise StackError("nothing was deleted", hint="answer y to delete")


def main() -> None:
    """Run a command. A known error is printed as an `error:` line and a `hint:` line; the exit status is 1."""
    use_language_of_locale(app, CATALOGUES)
    try:
        app()
    except SecurityError as error:
        _fail(error.description, error.hint)
    except httpx2.HTTPError as error:
        _fail(f"the services do not answer: {type(error).__name__}: {error}", "see the end of .run/logs/*.log")
    except OSError as error:
        _fail(f"{error.strerror}: {error.filename}" if error.filename else str(error), "")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(problem: str, hint: str) -> NoReturn:
    hint_line = f"\nhint: {localize(hint)}" if hint else ""
    print(f"error: {localize(problem)}{hint_line}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
